/** `agent install`: what this machine lacks, and making it so. */
import process from 'node:process';
import { type Config, loadConfig, parseConfig } from '../config/index.ts';
import { AgentError } from '../errors.ts';
import { commit } from '../version.ts';
import { applyChanges } from './apply.ts';
import { defaultConfig } from './default_config.ts';
import { type Change, changesOf } from './diff.ts';
import type { Machine, Sight } from './machine.ts';
import { noteMade } from './made.ts';
import { CONFIG_FILE } from './names.ts';
import { moveOf, refuseMoveOfActive, withOwnUser } from './own_user.ts';
import { planOf } from './plan.ts';
import type { Plan } from './wanted.ts';

export interface InstallOptions {
  /** A configuration to take in as /etc/cloudify/agent.yaml, in place of what is there. */
  readonly from?: string;
  /** The executable to put in place. Left out: the running one, when it is a compiled one. */
  readonly source?: string;
}

export function requireRoot(what: string, uid: number | undefined = process.getuid?.()): void {
  if (uid === 0) return;
  throw new AgentError({
    class: 'operator',
    code: 'not_root',
    message: `${what} needs root`,
    hint: 'run it as root, or through sudo',
  });
}

/** Run from source, the running program is the runtime: nothing to install. */
const runningExecutable = (): string | undefined => (commit === 'source' ? undefined : process.execPath);

/** The machine's own configuration, the given one, or the default. Throws ConfigError. */
function configuration(sight: Sight, from: string | undefined): { text: string; config: Config } {
  if (from !== undefined) {
    const { config } = loadConfig(from);
    return { text: sight.read(from) ?? '', config };
  }
  const text = sight.read(CONFIG_FILE) ?? defaultConfig(sight);
  return { text, config: parseConfig(text, CONFIG_FILE) };
}

/**
 * The configuration this machine runs with; what install would write where there is none. Throws ConfigError.
 */
export const presentConfig = (sight: Sight): Config => configuration(sight, undefined).config;

export function installPlan(sight: Sight, options: InstallOptions = {}): { config: Config; plan: Plan } {
  const given = configuration(sight, options.from);
  const { text, config, why } = withOwnUser(sight, given.text, given.config, options.from ?? CONFIG_FILE);
  if (config.driver !== 'systemd') {
    throw new AgentError({
      class: 'operator',
      code: 'not_systemd',
      message: "this configuration says 'driver: child', so there is nothing to install",
      hint: "take 'driver' out of it, or just run 'agent run'",
    });
  }
  const source = options.source ?? runningExecutable();
  if (source === undefined && sight.look(config.paths.executable) === undefined) {
    throw new AgentError({
      class: 'operator',
      code: 'not_compiled',
      message: 'this agent runs from source: there is no executable to install',
      hint: 'build the executable, and run its install',
    });
  }
  const replace = why !== undefined || (options.from !== undefined && options.from !== CONFIG_FILE);
  const move = moveOf(sight, config);
  return { config, plan: planOf(config, { source, configText: text, replace, why, move }) };
}

/** What is to be changed; empty when all is as it should be. */
export async function installChanges(sight: Sight, options: InstallOptions = {}): Promise<Change[]> {
  const { config, plan } = installPlan(sight, options);
  if (plan.some(({ kind }) => kind === 'move')) await refuseMoveOfActive(sight, config);
  return changesOf(plan, sight);
}

/** Makes it so; resolves to what was changed. `did` hears of each change. */
export async function install(
  machine: Machine,
  options: InstallOptions,
  did: (change: Change) => void,
): Promise<Change[]> {
  const changes = await installChanges(machine, options);
  await noteMade(changes, machine);
  await applyChanges(changes, machine, did);
  return changes;
}
