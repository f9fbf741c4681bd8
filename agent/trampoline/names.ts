/**
 * Names of units, users, places and sets that root's side and the agent share. They are here because the
 * trampoline loads nothing from outside its folder.
 */

export const UNITS = {
  agent: 'cloudify-agent.service',
  lease: 'cloudify-lease.service',
  postgresHelper: 'cloudify-postgres-helper.service',
  postgres: 'cloudify-postgresql.service',
  consul: 'cloudify-consul.service',
  syncthing: 'cloudify-syncthing.service',
  /** Applies the fenced rules at boot. */
  firewall: 'cloudify-iptables-restore.service',
} as const;

/** The distribution's user of PostgreSQL: the data directory is its. */
export const POSTGRES_USER = 'postgres';
/** Of the agent's own user. */
export const consulUser = ({ user }: { readonly user: string }): string => `${user}_consul`;
export const syncthingUser = ({ user }: { readonly user: string }): string => `${user}_syncthing`;

/** What the trampoline may do here. */
export const POLICY_FILE = '/etc/cloudify/trampoline.json';
/**
 * What the trampoline keeps. Not in /etc: that is read-only where the agent's unit is sandboxed, and so for
 * whatever it calls.
 */
export const ROOT_STATE_DIR = '/var/lib/cloudify-root';
/** How `units take` found the units. */
export const UNITS_TAKEN_FILE = `${ROOT_STATE_DIR}/units-taken.json`;
export const ROOT_LOG_DIR = '/var/log/cloudify-root';
/** Root's own folder, so that systemd opens the server's log where nobody else can lay a link. */
export const POSTGRES_LOG_DIR = '/var/log/cloudify-postgres';
export const POSTGRES_LOG = `${POSTGRES_LOG_DIR}/postgresql.log`;

/**
 * active: client ports pass while their lease entry lives; without it packets are dropped, so that a short
 * lapse only delays. standby: the same, but refused at once, so that clients move on. fenced: refused
 * whatever the lease says.
 */
export const FIREWALL_ROLES = ['active', 'standby', 'fenced'] as const;
export type FirewallRole = (typeof FIREWALL_ROLES)[number];

/** ipset: client ports that are open now, each until its timeout: the kernel lease. */
export const SET_LEASE = 'cloudify-lease';
/** All client ports; made with the other sets of `firewallDir`/sets. */
export const SET_CLIENT = 'cloudify-client';
/** Addresses of the cluster's members; rendered rules name them. */
export const SET_PEERS = { v4: 'cloudify-peers4', v6: 'cloudify-peers6' } as const;
export const ALL_SETS = [SET_LEASE, SET_CLIENT, SET_PEERS.v4, SET_PEERS.v6] as const;
