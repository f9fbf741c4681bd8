/** The configuration with what start or join was told; refuses before anything changes. */

import type { StartOptions } from '../api/types.ts';
import {
  type Config,
  type ConfigInput,
  effectiveLease,
  isLoopback,
  makeConfig,
  type NodeConfig,
  requireNode,
  withOptions,
} from '../config/index.ts';
import { AgentError, usageError } from '../errors.ts';
import { sharedUser } from '../install/own_user.ts';
import { realTenants } from '../install/real_tenants.ts';

/**
 * What units, firewall, lease and the database's own user go by: they read agent.yaml alone, which is root's.
 */
const FILE_ONLY = [
  'driver',
  'user',
  'group',
  'paths',
  'firewall',
  'services',
  'files',
  'consul',
  'postgres',
] as const;
/** Read by the agent itself. */
const AGENTS_OWN: readonly string[] = ['primary_start_timeout', 'restart_window', 'stop_timeout', 'rewind'];

/**
 * `input` is the file as written, `config` what it means. Throws ConfigError, usage, or `node_not_named`
 * (operator).
 */
export function namedConfig(input: ConfigInput, config: Config, options: StartOptions): NodeConfig {
  const over = {
    ...options.options,
    ...(options.nodeName === undefined ? {} : { node_name: options.nodeName }),
    ...(options.hostIp === undefined ? {} : { host_ip: options.hostIp }),
    ...(options.publicIp === undefined ? {} : { public_ip: options.publicIp }),
  };
  const made = requireNode(
    Object.keys(over).length === 0 ? config : makeConfig(withOptions(input, over), 'options'),
  );
  refuseLoopback(made);
  return made;
}

/** Several managers on one machine are a cluster to play with; a manager of its own is reached by others. */
function refuseLoopback({ driver, host_ip }: NodeConfig): void {
  if (driver !== 'systemd' || !isLoopback(host_ip)) return;
  throw new AgentError({
    class: 'usage',
    code: 'host_ip_loopback',
    message: `host_ip: must be an address that the other managers can reach; ${host_ip} can be reached only from this machine`,
    hint: "give the address of a network card, like 10.0.0.11: 'ip -brief address' lists them",
  });
}

/** For new options, not for those of an earlier start: throws what could not take effect. */
export function refuseOptions(input: ConfigInput, config: Config, { options = {} }: StartOptions): void {
  if (config.driver !== 'systemd' || Object.keys(options).length === 0) return;
  refuseFileOnly(options, config);
  refuseLongerLease(makeConfig(withOptions(input, options), 'options'), config);
}

function refuseFileOnly(options: Record<string, unknown>, config: Config): void {
  const tree = withOptions({}, options) as Record<string, Record<string, unknown>>;
  const wrong = FILE_ONLY.filter(
    (key) =>
      key in tree &&
      !(key === 'postgres' && Object.keys(tree.postgres ?? {}).every((name) => AGENTS_OWN.includes(name))),
  );
  if (wrong.length === 0) return;
  throw usageError(
    `cannot be set by --options on a machine with units: ${wrong.join(', ')}`,
    `write it into ${config.paths.config} and run 'agent install'`,
  );
}

/** The kernel lease is held by root for as long as the file says; a longer right could never be opened. */
function refuseLongerLease(made: Config, config: Config): void {
  const [asked, file] = [effectiveLease(made).renew_deadline, effectiveLease(config).renew_deadline];
  if (asked <= file) return;
  throw usageError(
    `a renew_deadline of ${asked} ms is longer than the ${file} ms of ${config.paths.config}`,
    "set the lease there on every manager, then 'agent install' and 'systemctl restart cloudify-lease'",
  );
}

/** Throws operator `user_shared`. Not where there are no units: there the agent is whoever starts it. */
export function refuseSharedUser(
  { driver, user, paths }: Pick<Config, 'driver' | 'user' | 'paths'>,
  look: typeof realTenants = realTenants,
): void {
  if (driver !== 'systemd') return;
  const reasons = look(user, paths.executable);
  if (reasons.length === 0) return;
  throw sharedUser(
    `${user} is not the agent's alone: ${reasons.join('; ')}`,
    "run 'agent install' as root: it gives the agent a user of its own",
  );
}
