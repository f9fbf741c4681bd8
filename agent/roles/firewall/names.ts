/**
 * Names in the kernel and in the rules' folder. Everything of ours begins with them; nothing else is ever
 * touched.
 */
import { dirname, join } from 'node:path';
import type { FirewallRole } from '../../trampoline/names.ts';

export const CHAIN_IN = 'CLOUDIFY-IN';
export const CHAIN_OUT = 'CLOUDIFY-OUT';
/** Built-in chain and what is hooked into it. */
export const HOOKS = [
  ['INPUT', CHAIN_IN],
  ['OUTPUT', CHAIN_OUT],
] as const;

export const FAMILIES = ['v4', 'v6'] as const;
export type Family = (typeof FAMILIES)[number];

/** Creates the sets and fills in the client ports. */
export const SETS_FILE = 'sets';
export const roleFile = (role: FirewallRole, family: Family): string => `${role}.${family}`;
/** Fenced rules and the hooks, for the boot unit: nothing of ours is in the kernel then. */
export const bootFile = (family: Family): string => `boot.${family}`;

/** Beside the socket of the lease's helper: the deadline that runs, for the helper's next process. */
export const deadlineFile = (leaseSocket: string): string => join(dirname(leaseSocket), 'deadline');
