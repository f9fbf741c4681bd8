/** Names in the kernel and in the rules' folder. Everything of ours begins with them; nothing else is ever touched. */
import { dirname, join } from 'node:path';

export const CHAIN_IN = 'CLOUDIFY-IN';
export const CHAIN_OUT = 'CLOUDIFY-OUT';
/** Built-in chain and what is hooked into it. */
export const HOOKS = [
  ['INPUT', CHAIN_IN],
  ['OUTPUT', CHAIN_OUT],
] as const;

/** Client ports that are open now, each until its timeout: the kernel lease. */
export const SET_LEASE = 'cloudify-lease';
/** All client ports. */
export const SET_CLIENT = 'cloudify-client';
/** Addresses of the cluster's members. */
export const SET_PEERS = { v4: 'cloudify-peers4', v6: 'cloudify-peers6' } as const;
export const ALL_SETS = [SET_LEASE, SET_CLIENT, SET_PEERS.v4, SET_PEERS.v6] as const;

/**
 * active: client ports pass while their lease entry lives; without it packets are dropped, so that a short lapse only
 * delays. standby: the same, but refused at once, so that clients move on. fenced: refused whatever the lease says.
 */
export const FIREWALL_ROLES = ['active', 'standby', 'fenced'] as const;
export type FirewallRole = (typeof FIREWALL_ROLES)[number];

export const FAMILIES = ['v4', 'v6'] as const;
export type Family = (typeof FAMILIES)[number];

/** Creates the sets and fills in the client ports. */
export const SETS_FILE = 'sets';
export const roleFile = (role: FirewallRole, family: Family): string => `${role}.${family}`;
/** Fenced rules and the hooks, for the boot unit: nothing of ours is in the kernel then. */
export const bootFile = (family: Family): string => `boot.${family}`;

/** Beside the socket of the lease's helper: the deadline that runs, for the helper's next process. */
export const deadlineFile = (leaseSocket: string): string => join(dirname(leaseSocket), 'deadline');
