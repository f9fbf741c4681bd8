/** Carrying out what command.ts allowed. */
import { type Command, Refusal } from './command.ts';
import { type Failure, failureOf } from './failure.ts';
import { type FirewallRole, SET_CLIENT, SET_PEERS } from './names.ts';
import type { RootPolicy } from './policy.ts';
import type { Root } from './root.ts';
import { giveUnits, takeUnits } from './units.ts';

export function perform(command: Command, policy: RootPolicy, root: Root): Failure {
  switch (command.kind) {
    case 'service':
      return service(command.action, command.unit, root);
    case 'firewall':
      return firewall(policy.firewallDir, command.role, root);
    case 'peers':
      return peers(command.v4, command.v6, root);
    case 'units':
      return command.way === 'take' ? takeUnits(policy, root) : giveUnits(policy, root);
    case 'wipe': {
      const { consulUnit, consulDataDir, consulUser, filesUnit, filesDataDir, filesUser } = policy;
      return command.what === 'consul'
        ? wipe(consulUnit, consulDataDir, consulUser, root)
        : wipe(filesUnit, filesDataDir, filesUser, root);
    }
  }
}

/** What the agent reads of a unit; it asks here where D-Bus does not answer a mere user. */
export const STATUS = [
  ...['Id', 'LoadState', 'ActiveState', 'SubState', 'MainPID', 'Result', 'ExecMainPID', 'ExecMainCode'],
  ...['ExecMainStatus', 'StateChangeTimestampMonotonic', 'ControlGroup', 'Slice', 'Job'],
].join(',');

/**
 * Jobs are filed, not waited for: the caller watches the unit itself, and nothing of root's can hang on it.
 */
function service(action: string, unit: string, root: Root): Failure {
  const systemctl = (...args: string[]) => root.run('systemctl', [...args, '--', unit]);
  switch (action) {
    case 'status': {
      const ran = systemctl('show', '--no-pager', `--property=${STATUS}`);
      root.say(ran.stdout);
      return failureOf(ran);
    }
    case 'kill':
      return failureOf(systemctl('kill', '--kill-who=all', '--signal=SIGKILL'));
    case 'start':
    case 'restart':
      // Who failed often is not started any more by systemd; whether it is worth a try is the agent's to say.
      systemctl('reset-failed');
      return failureOf(systemctl(action, '--no-block'));
    default:
      return failureOf(systemctl(action, '--no-block'));
  }
}

/** The rules as they were rendered by root; what is not ours stays (--noflush). */
function firewall(dir: string, role: FirewallRole, root: Root): Failure {
  const v4 = root.read(`${dir}/${role}.v4`);
  const v6 = root.read(`${dir}/${role}.v6`);
  const failures = [
    firewallSets(dir, root),
    failureOf(root.run('iptables-restore', ['--noflush', '--wait', '5'], { input: v4 })),
    // A kernel without IPv6 has nothing to shut.
    root.ipv6
      ? failureOf(root.run('ip6tables-restore', ['--noflush', '--wait', '5'], { input: v6 }))
      : undefined,
  ].filter((one) => one !== undefined);
  return failures.length === 0 ? undefined : failures.join('; ');
}

/**
 * The sets that the rules name, where the boot has not made them. Those that are there stay untouched:
 * filling one empties it first.
 */
function firewallSets(dir: string, root: Root): Failure {
  if (root.run('ipset', ['list', '-name', SET_CLIENT]).code === 0) return undefined;
  return failureOf(root.run('ipset', ['restore', '-exist'], { input: root.read(`${dir}/sets`) }));
}

/** New sets are filled and then exchanged, so that at no time a peer is missing that was there and stays. */
function peers(v4: readonly string[], v6: readonly string[], root: Root): Failure {
  const lines = [...exchange(SET_PEERS.v4, 'inet', v4), ...exchange(SET_PEERS.v6, 'inet6', v6)];
  return failureOf(root.run('ipset', ['restore', '-exist'], { input: `${lines.join('\n')}\n` }));
}

function exchange(set: string, family: string, addresses: readonly string[]): string[] {
  const draft = `${set}-new`;
  return [
    `create ${set} hash:ip family ${family}`,
    `create ${draft} hash:ip family ${family}`,
    `flush ${draft}`,
    ...addresses.map((address) => `add ${draft} ${address}`),
    `swap ${draft} ${set}`,
    `destroy ${draft}`,
  ];
}

/**
 * As the owner, not as root: whatever links lie in there lead nowhere that its owner could not reach anyway.
 */
function wipe(unit: string, dir: string, user: string, root: Root): Failure {
  const state = root.run('systemctl', ['is-active', '--', unit]).stdout.trim();
  if (state !== 'inactive' && state !== 'failed') throw new Refusal(`${unit} is ${state || 'unknown'}`);
  const as = [`--reuid=${user}`, `--regid=${user}`, '--clear-groups', '--no-new-privs', '--'];
  const find = ['/usr/bin/find', dir, '-xdev', '-mindepth', '1', '-delete'];
  return failureOf(root.run('setpriv', [...as, ...find], { limit: 120_000 }));
}
