/**
 * pg_hba.conf, fenced and open, and pg_ident.conf. The first line that matches a connection decides; no line
 * is a refusal.
 */

import { hbaFile, identFile, type Settings } from './conf.ts';
import type { PgOptions } from './options.ts';
import { carryRules, ownRules } from './originals.ts';
import { type RuleLine, tokensOf } from './rule_lines.ts';
import type { TlsSettings } from './tls.ts';
import { writeText } from './write_text.ts';

type Options = Omit<PgOptions, 'starter'>;

const AGENT_MAP = 'cloudify_agent';
const MEMBERS_MAP = 'cloudify_members';

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** The agent over the Unix socket, and replication. Always in force. */
function always(o: Options, tls: TlsSettings | undefined): string[] {
  const self = quote(o.superuser);
  const local = o.localAuth === 'trust' ? 'trust' : `peer map=${AGENT_MAP}`;
  return [`local all ${self} ${local}`, `local replication ${self} ${local}`, ...replication(o, tls)];
}

function replication(o: Options, tls: TlsSettings | undefined): string[] {
  const peer = quote(o.replicationUser);
  // pg_rewind reads the files of its source through SQL.
  const targets = ['replication', quote(o.database)];
  if (tls !== undefined)
    return [
      ...targets.map((target) => `hostssl ${target} ${peer} all cert map=${MEMBERS_MAP}`),
      `host all,replication ${peer} all reject`,
    ];
  if (o.replicationAuth === 'certificate') return [`host all,replication ${peer} all reject`];
  const auth = o.replicationAuth === 'trust' ? 'trust' : 'scram-sha-256';
  return targets.map((target) => `host ${target} ${peer} all ${auth}`);
}

/**
 * The Unix socket cannot be cut by a firewall: where that is the fence, nobody but the agent is on it
 * (PROTOCOL C.2).
 */
function withoutLocal(rule: RuleLine): RuleLine {
  if (tokensOf(rule.text)[0]?.text.toLowerCase() !== 'local') return rule;
  return { ...rule, text: `# the Unix socket is the agent's: ${rule.text.trim()}` };
}

const ours = (text: string): RuleLine => ({ text, file: 'the agent', line: 0 });
const written = (rules: readonly RuleLine[]): string => `${rules.map(({ text }) => text).join('\n')}\n`;

/** Line by line, and where each is from. `original`: the manager's own rules; null when there are none. */
export function hbaRules(
  o: Options,
  { fenced, tls }: Pick<Settings, 'fenced' | 'tls'>,
  original: readonly RuleLine[] | null,
): RuleLine[] {
  const head = ['# Written by the agent.', ...always(o, tls)].map(ours);
  if (fenced)
    return [
      ...head,
      ...['# fenced: everybody else is refused', 'local all all reject', 'host all all all reject'].map(ours),
    ];
  if (o.clientHba !== undefined)
    return [...head, ...o.clientHba.map((text, at) => ({ text, file: 'postgres.client_hba', line: at + 1 }))];
  if (original === null) return [...head, ours(`host all all all ${o.clientAuth}`)];
  return [...head, ...(o.localAuth === 'trust' ? original : original.map(withoutLocal))];
}

/** Which OS users are the agent's role on the Unix socket, and which certificates are those of members. */
export function identRules(
  o: Options,
  tls: TlsSettings | undefined,
  original: readonly RuleLine[] | null,
): RuleLine[] {
  const users = o.localAuth === 'trust' ? [] : o.localAuth.users;
  const members = tls?.members ?? [];
  return [
    ours('# Written by the agent.'),
    ...users.map((user) => ours(`${AGENT_MAP} ${quote(user)} ${quote(o.superuser)}`)),
    ...members.map((name) => ours(`${MEMBERS_MAP} ${quote(name)} ${quote(o.replicationUser)}`)),
    ...(original ?? []),
  ];
}

/**
 * Both as they shall be, line by line; `write` puts them in place, in force with the next reload or start.
 */
export type Access = {
  hba: readonly RuleLine[];
  ident: readonly RuleLine[];
  write(): Promise<void>;
};

/** Shut, nothing of the manager's is read: whatever is wrong with it, the fence is right. */
export async function accessOf(o: Options, settings: Pick<Settings, 'fenced' | 'tls'>): Promise<Access> {
  const own = async (kind: 'hba' | 'ident') => (settings.fenced ? null : await ownRules(o, kind));
  const originals = { hba: o.clientHba === undefined ? await own('hba') : null, ident: await own('ident') };
  const hba = hbaRules(o, settings, originals.hba);
  const ident = identRules(o, settings.tls, originals.ident);
  return {
    hba,
    ident,
    async write() {
      if (originals.hba !== null) await carryRules(o, 'hba', originals.hba);
      if (originals.ident !== null) await carryRules(o, 'ident', originals.ident);
      await writeText(identFile(o), written(ident));
      await writeText(hbaFile(o), written(hba));
    },
  };
}
