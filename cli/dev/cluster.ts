import { chmodSync, existsSync } from 'node:fs';
import { AgentError } from '../../agent/errors.ts';
import { makeDir } from '../../agent/platform/files.ts';
import { type RunResult, run } from '../../agent/platform/process.ts';
import { nodeConfig, writeConfig } from './config.ts';
import { checkOwner, type DevNode, type DevSettings, loadSettings, nodesOf, saveSettings } from './layout.ts';
import { findBinDir, makeExistingDatabase } from './postgres.ts';
import { agentProgram, type Runtime } from './program.ts';
import { asUser, type DevUser, devUser, giveTo } from './user.ts';

/** A dev cluster on disk, running or not. */
export interface DevCluster {
  readonly dir: string;
  readonly settings: DevSettings;
  readonly nodes: readonly DevNode[];
  readonly user: DevUser;
}

export interface PrepareOptions {
  readonly dir: string;
  readonly nodes?: number;
  readonly first?: string;
  readonly preset?: DevSettings['preset'];
  readonly runtime?: Runtime;
  readonly executable?: string;
  /** Laid over every node's agent.yaml. */
  readonly options?: Record<string, unknown>;
}

/** The cluster in `dir`; rejects with `no_dev_cluster` when there is none. */
export function openCluster(dir: string): DevCluster {
  checkOwner(dir);
  const settings = loadSettings(dir);
  if (!settings) {
    throw new AgentError({
      class: 'operator',
      code: 'no_dev_cluster',
      message: `there is no dev cluster in ${dir}`,
      hint: "make one with 'agent dev up'",
    });
  }
  return { dir, settings, nodes: nodesOf(dir, settings), user: devUser() };
}

/** What a second `up` may not change: the nodes are there already. */
function settingsFor(options: PrepareOptions, program: string[], user: DevUser): DevSettings {
  const before = loadSettings(options.dir);
  return {
    schema: 1,
    nodes: before?.nodes ?? options.nodes ?? 3,
    first: before?.first ?? options.first ?? '127.0.0.11',
    preset: options.preset ?? before?.preset ?? 'default',
    program,
    ...(user.self ? {} : { user: user.name }),
    ...((options.options ?? before?.options) ? { options: options.options ?? before?.options } : {}),
  };
}

function makeNodeDirs(node: DevNode, user: DevUser): void {
  for (const dir of [node.dir, node.runDir, node.logDir, node.stateDir, node.consulDir]) {
    makeDir(dir, 0o700);
    giveTo(user, dir);
  }
}

/**
 * Makes the folders: a manager with an existing database first, empty managers after it. May be repeated;
 * what is there stays, configurations are written anew.
 */
export async function prepare(options: PrepareOptions): Promise<DevCluster> {
  const { dir } = options;
  const user = devUser();
  checkOwner(dir);
  makeDir(dir, 0o755);
  // Whatever the umask: the cluster's user must get through.
  chmodSync(dir, 0o755);
  const binDir = findBinDir();
  const before = loadSettings(dir);
  const keep = before !== undefined && options.runtime === undefined && options.executable === undefined;
  const stillThere = keep && before.program.every((part) => !part.startsWith('/') || existsSync(part));
  const program = stillThere ? before.program : await agentProgram(user, dir, options);
  const settings = settingsFor(options, program, user);
  const nodes = nodesOf(dir, settings);
  saveSettings(dir, settings);
  for (const [index, node] of nodes.entries()) {
    makeNodeDirs(node, user);
    if (index === 0) await makeExistingDatabase(node, user, binDir);
    writeConfig(node, nodeConfig(node, settings, user.name, binDir));
  }
  return { dir, settings, nodes, user };
}

/**
 * Runs `agent ARGS...` against a node's socket, as an operator on that manager would. Resolves with whatever
 * exit code.
 */
export function agentOn(
  { settings, user }: DevCluster,
  node: DevNode,
  args: readonly string[],
  options: { deadline?: number; onLine?: (line: string) => void } = {},
): Promise<RunResult> {
  const [command, ...rest] = agentCommand({ settings, user }, node, args);
  const { deadline = 120_000, onLine } = options;
  return run(command, rest, {
    deadline,
    cwd: node.dir,
    env: { HOME: node.dir, DENO_DIR: `${node.dir}/deno` },
    ...(onLine ? { onLine } : {}),
  });
}

export function agentCommand(
  { settings, user }: Pick<DevCluster, 'settings' | 'user'>,
  node: DevNode,
  args: readonly string[],
): [string, ...string[]] {
  return asUser(user, [...settings.program, ...args, '--socket', node.socket]);
}
