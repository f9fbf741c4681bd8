/** From the words of a call to the one thing it may mean. Pure: nothing is run, read or logged here. */
import { isIPv4, isIPv6 } from 'node:net';
import { FIREWALL_ROLES, type FirewallRole } from './names.ts';
import type { RootPolicy } from './policy.ts';

export const SERVICE_ACTIONS = ['start', 'stop', 'restart', 'reload', 'status', 'kill'] as const;
export type ServiceAction = (typeof SERVICE_ACTIONS)[number];

export type Command =
  | { readonly kind: 'service'; readonly action: ServiceAction; readonly unit: string }
  | { readonly kind: 'firewall'; readonly role: FirewallRole }
  | { readonly kind: 'peers'; readonly v4: readonly string[]; readonly v6: readonly string[] }
  | { readonly kind: 'units'; readonly way: 'take' | 'give' }
  | { readonly kind: 'wipe'; readonly what: 'consul' | 'files' };

/** Why a call is not carried out: exit code 2. */
export class Refusal extends Error {
  override readonly name: string = 'Refusal';
}

const PEERS_MAX = 32;
/** What the postgres user may have done to its own unit. */
const POSTGRES_ACTIONS: readonly ServiceAction[] = ['start', 'stop', 'kill'];

const oneOf = <T extends string>(options: readonly T[], word: string | undefined, what: string): T => {
  const found = options.find((option) => option === word);
  if (found === undefined) throw new Refusal(`unknown ${what}`);
  return found;
};

/** Throws a Refusal for everything that the policy does not name for this caller. */
export function commandOf(words: readonly string[], policy: RootPolicy, caller: string): Command {
  const [verb, ...args] = words;
  const command = parse(verb, args, policy);
  if (caller === 'root' || caller === policy.agentUser) return command;
  if (caller === policy.postgresUser && mayPostgres(command, policy)) return command;
  throw new Refusal('not for this user');
}

const mayPostgres = (command: Command, policy: RootPolicy): boolean =>
  command.kind === 'service' &&
  command.unit === policy.postgresUnit &&
  POSTGRES_ACTIONS.includes(command.action);

function parse(verb: string | undefined, args: readonly string[], policy: RootPolicy): Command {
  switch (verb) {
    case 'service': {
      const [action, unit] = exactly(args, 2);
      const units = [...policy.units, ...policy.managerUnits];
      return {
        kind: 'service',
        action: oneOf(SERVICE_ACTIONS, action, 'action'),
        unit: oneOf(units, unit, 'unit'),
      };
    }
    case 'firewall':
      return { kind: 'firewall', role: oneOf(FIREWALL_ROLES, exactly(args, 1)[0], 'role') };
    case 'peers':
      return peers(args);
    case 'units':
      return { kind: 'units', way: oneOf(['take', 'give'] as const, exactly(args, 1)[0], 'way') };
    case 'consul':
    case 'files':
      oneOf(['wipe'], exactly(args, 1)[0], 'action');
      return { kind: 'wipe', what: verb };
    default:
      throw new Refusal('unknown verb');
  }
}

function exactly(args: readonly string[], count: number): readonly string[] {
  if (args.length !== count) throw new Refusal('wrong number of arguments');
  return args;
}

function peers(addresses: readonly string[]): Command {
  if (addresses.length > PEERS_MAX) throw new Refusal('too many addresses');
  // A zone (fe80::1%eth0) passes for an address elsewhere, and could be followed by anything.
  const bad = addresses.find((text) => !(isIPv4(text) || (isIPv6(text) && !text.includes('%'))));
  if (bad !== undefined) throw new Refusal('not an IP address');
  if (addresses.some((text) => text === '0.0.0.0' || /^[0:]+$/.test(text)))
    throw new Refusal('not the address of a node');
  return { kind: 'peers', v4: addresses.filter(isIPv4), v6: addresses.filter(isIPv6) };
}
