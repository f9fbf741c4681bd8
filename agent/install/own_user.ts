/**
 * A user that is the agent's alone. Cloudify's own workers run as cfyuser, and with them every plugin: there
 * the agent gets another, and what the old one had is moved.
 */
import { dirname, join } from 'node:path';
import { type Config, parseConfig } from '../config/index.ts';
import { AgentError } from '../errors.ts';
import { consulUser, POLICY_FILE, syncthingUser, UNITS } from '../trampoline/names.ts';
import { parsePolicy } from '../trampoline/policy.ts';
import type { Sight } from './machine.ts';
import type { WantedMove } from './wanted.ts';

/** Tried in this order. Two more are made of it: NAME_consul, NAME_syncthing. */
const PROPOSED = ['cloudify_agent', 'cluster_agent'] as const;

const USER_LINE = /^user[ \t]*:.*$/m;

/** The file with that user in it; everything else stays as it is written. */
function withUser(text: string, user: string, was: string): string {
  const line = `user: ${user} # not ${was}, which something else runs as`;
  if (USER_LINE.test(text)) return text.replace(USER_LINE, line);
  const lines = text.split('\n');
  const first = lines.findIndex((one) => !/^\s*(#.*|---.*)?$/.test(one));
  lines.splice(first < 0 ? lines.length : first, 0, line);
  return lines.join('\n');
}

export interface OwnUser {
  readonly text: string;
  readonly config: Config;
  /** Why the file says another user than it did. */
  readonly why?: string;
}

/**
 * The configuration with a user that is the agent's alone: the file's, where it is. Throws operator
 * `user_shared`.
 */
export function withOwnUser(sight: Sight, text: string, config: Config, path: string): OwnUser {
  const reasons = sight.tenants(config.user, config.paths.executable);
  if (reasons.length === 0) return { text, config };
  const why = `${config.user} is not the agent's alone: ${reasons.join('; ')}`;
  const user = PROPOSED.find(
    (name) => name !== config.user && sight.tenants(name, config.paths.executable).length === 0,
  );
  if (user !== undefined) {
    const proposed = withUser(text, user, config.user);
    // In a file of another form (JSON, one line) a line more is no key, or no file.
    const made = parsed(proposed, path);
    if (made?.user === user)
      return { text: proposed, config: made, why: `is to say 'user: ${user}': ${why}` };
  }
  throw sharedUser(
    why,
    `write 'user: NAME' into ${path}, with a name that nothing else uses; install makes it`,
  );
}

function parsed(text: string, path: string): Config | undefined {
  try {
    return parseConfig(text, path);
  } catch {
    return undefined;
  }
}

export const sharedUser = (message: string, hint: string): AgentError =>
  new AgentError({ class: 'operator', code: 'user_shared', message, hint });

/**
 * What an earlier install made for another user; undefined: nothing. Its policy says which: root's own file,
 * written after the move.
 */
export function moveOf(sight: Sight, config: Config): WantedMove | undefined {
  const policy = parsePolicy(sight.read(POLICY_FILE) ?? '');
  if (policy === undefined || policy.agentUser === config.user) return undefined;
  const { paths, consul, files } = config;
  const folders = [
    ...[paths.run_dir, paths.ssl_dir, paths.state_dir, dirname(paths.log_file), paths.diverged_dir],
    ...[consul.config_dir, consul.data_dir, files.home_dir],
  ];
  return {
    kind: 'move',
    group: config.group,
    users: [
      [policy.agentUser, config.user],
      [policy.consulUser, consulUser(config)],
      [policy.filesUser, syncthingUser(config)],
    ],
    folders: folders.filter((path) => sight.look(path)?.type === 'folder'),
  };
}

/** The move stops agent, Consul and database: not under clients. What cannot be told counts as writable. */
export async function refuseMoveOfActive(sight: Sight, config: Config): Promise<void> {
  const running = (await sight.units([UNITS.postgres])).get(UNITS.postgres)?.active === true;
  if (!running || sight.look(join(config.postgres.data_dir, 'standby.signal')) !== undefined) return;
  throw new AgentError({
    class: 'operator',
    code: 'active_here',
    message: `the agent is to run as ${config.user}, which stops the database, and clients write to it: this manager is the active`,
    hint: `hand over first ('agent cluster set-active NODE'); where there is no other: 'systemctl stop ${UNITS.agent} ${UNITS.postgres}'; then run 'agent install' again`,
  });
}
