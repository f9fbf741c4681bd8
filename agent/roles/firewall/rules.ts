/**
 * The rules of each role, as iptables-restore -n reads them. Pure. Our two chains alone are replaced, in one
 * transaction; what is said of a client port or a member's address is decided here, everything else returns
 * to the manager's own rules.
 */
import { type FirewallRole, SET_CLIENT, SET_LEASE, SET_PEERS } from '../../trampoline/names.ts';
import { CHAIN_IN, CHAIN_OUT, type Family, HOOKS } from './names.ts';

export interface RulePorts {
  readonly postgres: number;
  /** The agent's API: open to everyone, load balancers ask there. */
  readonly api: number;
  /** Members only: Consul's servers and HTTPS, Syncthing. */
  readonly memberTcp: readonly number[];
  readonly memberUdp: readonly number[];
}

const RESET = '-j REJECT --reject-with tcp-reset';

/**
 * Connections to the API at once that are not members': of one address, and in all. Each costs memory before
 * it has said a word.
 */
const STRANGERS = { ofOne: 64, all: 1024 } as const;
/** A v6 host has its whole /64. */
const ONE = { v4: 32, v6: 64 } as const;

function bounded(family: Family, api: number): string[] {
  const opening = `! -i lo -p tcp -m tcp --dport ${api} --syn -m connlimit`;
  return [
    `${opening} --connlimit-above ${STRANGERS.ofOne} --connlimit-mask ${ONE[family]} ${RESET}`,
    `${opening} --connlimit-above ${STRANGERS.all} --connlimit-mask 0 ${RESET}`,
  ];
}

function inbound(role: FirewallRole, family: Family, ports: RulePorts): string[] {
  const member = `-m set --match-set ${SET_PEERS[family]} src`;
  const tcp = [ports.postgres, ports.api, ...ports.memberTcp];
  return [
    // Replication stays open when fenced; a member's client connections are pg_hba's to refuse.
    ...each('tcp', 'dports', tcp, `${member} -j ACCEPT`),
    ...each('udp', 'dports', ports.memberUdp, `${member} -j ACCEPT`),
    ...bounded(family, ports.api),
    // Established connections too: there is no rule that lets them by.
    ...(role === 'fenced' ? [] : [`-p tcp -m set --match-set ${SET_LEASE} dst -j RETURN`]),
    `-p tcp -m set --match-set ${SET_CLIENT} dst ${role === 'active' ? '-j DROP' : RESET}`,
    // A node's own programs reach each other over the loopback device.
    ...each('tcp', 'dports', ports.memberTcp, '! -i lo -j DROP'),
    ...each('udp', 'dports', ports.memberUdp, '! -i lo -j DROP'),
  ].map((rule) => `-A ${CHAIN_IN} ${rule}`);
}

function outbound(role: FirewallRole, family: Family, ports: RulePorts): string[] {
  const member = `-m set --match-set ${SET_PEERS[family]} dst`;
  return [
    // A reset acknowledges nothing, and it is what a refused client is told by.
    `-p tcp -m tcp --tcp-flags RST RST -j RETURN`,
    ...each('tcp', 'sports', [ports.postgres], `${member} -j ACCEPT`),
    // That a server has ended is no answer either. Whatever its client says to that, or missed before, is
    // refused aloud.
    ...bare(family).map((empty) => `-p tcp -m set --match-set ${SET_CLIENT} src ${empty} -j RETURN`),
    // A commit that was waiting for a standby answers through here.
    ...(role === 'fenced' ? [] : [`-p tcp -m set --match-set ${SET_LEASE} src -j RETURN`]),
    `-p tcp -m set --match-set ${SET_CLIENT} src -j DROP`,
  ].map((rule) => `-A ${CHAIN_OUT} ${rule}`);
}

/**
 * The end of a connection without a byte of data: as short as its headers, with timestamps (option 8) or
 * without.
 */
function bare(family: Family): string[] {
  const header = family === 'v4' ? 40 : 60;
  const fin = '-m tcp --tcp-flags FIN FIN';
  return [`${fin} --tcp-option 8 -m length --length ${header + 12}`, `${fin} -m length --length ${header}`];
}

/** A rule per fifteen ports: multiport takes no more. */
function each(
  protocol: 'tcp' | 'udp',
  which: 'dports' | 'sports',
  ports: readonly number[],
  rest: string,
): string[] {
  const unique = [...new Set(ports)];
  const rules: string[] = [];
  for (let at = 0; at < unique.length; at += 15) {
    const some = unique.slice(at, at + 15).join(',');
    rules.push(`-p ${protocol} -m multiport --${which} ${some} ${rest}`);
  }
  return rules;
}

/** A chain that is named in such a file is emptied first, in the same transaction. */
function table(lines: readonly string[]): string {
  const chains = [CHAIN_IN, CHAIN_OUT].map((chain) => `:${chain} - [0:0]`);
  return ['*filter', ...chains, ...lines, 'COMMIT', ''].join('\n');
}

export function renderRules(role: FirewallRole, family: Family, ports: RulePorts): string {
  return table([...inbound(role, family, ports), ...outbound(role, family, ports)]);
}

/** Fenced and hooked in. To be applied once per boot: a second time would hook twice. */
export function renderBoot(family: Family, ports: RulePorts): string {
  const hooks = HOOKS.map(([builtin, chain]) => `-I ${builtin} 1 -j ${chain}`);
  return table([...inbound('fenced', family, ports), ...outbound('fenced', family, ports), ...hooks]);
}
