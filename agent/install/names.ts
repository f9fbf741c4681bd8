/** Places and lists of units outside the configuration. */
import { dirname, join } from 'node:path';
import type { Config } from '../config/index.ts';
import { UNITS } from '../trampoline/names.ts';

/**
 * Calls as root over a Unix socket: for each caller a socket, and the service that systemd starts for each
 * call.
 */
export const ROOT_CALLS = {
  agent: 'cloudify-root-agent',
  postgres: 'cloudify-root-postgres',
} as const;
/** Enabled, and never stopped while there is an agent: not even when the machine goes down. */
export const ROOT_CALL_SOCKETS: readonly string[] = Object.values(ROOT_CALLS).map((name) => `${name}.socket`);
export const ROOT_CALL_SERVICES: readonly string[] = Object.values(ROOT_CALLS).map(
  (name) => `${name}@.service`,
);

/** Run all the time, in a cluster or not. Stopped in this order. */
export const OWN_SERVICES: readonly string[] = [UNITS.agent, UNITS.lease, UNITS.postgresHelper];

/** Never enabled: the agent starts them. Stopped in this order. */
export const PARTS: readonly string[] = [UNITS.syncthing, UNITS.postgres, UNITS.consul];

export const UNIT_DIR = '/etc/systemd/system';
export const SUDOERS = '/etc/sudoers.d/cloudify';
export const TMPFILES = '/etc/tmpfiles.d/cloudify.conf';
export const LOGROTATE = '/etc/logrotate.d/cloudify';
export const CONFIG_FILE = '/etc/cloudify/agent.yaml';
/** Install's note of the configuration that it rendered units, rules and sudo's permissions from. */
export const INSTALLED_FILE = '/etc/cloudify/installed.json';
/**
 * The lock of iptables where it is not nft's: made beforehand, for the lease's helper may write nothing else
 * in /run.
 */
export const XTABLES_LOCK = '/run/xtables.lock';
export const POSTGRES_RUN_DIR = '/run/cloudify-postgres';

export const HOOK_POINTS = ['pre-promote', 'post-promote', 'pre-demote', 'post-demote', 'follow'] as const;

export const trampolinePath = ({ paths }: Config): string =>
  join(dirname(paths.executable), 'sudo_trampoline');
/** PgOptions.confDir */
export const postgresConfDir = ({ paths }: Config): string => join(paths.state_dir, 'postgres');
/** The folder above the agent's state: /var/lib/cloudify. */
export const libDir = ({ paths }: Config): string => dirname(paths.state_dir);
