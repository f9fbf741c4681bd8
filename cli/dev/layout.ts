import { lstatSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import * as v from 'valibot';
import { AgentError, usageError } from '../../agent/errors.ts';
import { errno, readJson, writeJson } from '../../agent/platform/files.ts';

/** One manager of the dev cluster: a folder and a loopback address. */
export interface DevNode {
  readonly name: string;
  readonly address: string;
  readonly dir: string;
  readonly config: string;
  readonly socket: string;
  readonly runDir: string;
  readonly logDir: string;
  readonly stateDir: string;
  readonly divergedDir: string;
  readonly pgData: string;
  readonly consulDir: string;
}

export const PORTS = { api: 8700, consul: 8500, postgres: 5432 } as const;

/** The ordinary client role and database of the demo's manager: no superuser, no replication. */
export const CLIENT = { user: 'manager', database: 'manager' } as const;

const settingsSchema = v.object({
  schema: v.literal(1),
  nodes: v.number(),
  /** Address of n1; the others follow. */
  first: v.string(),
  preset: v.picklist(['default', 'fast']),
  /** Program and leading arguments that stand for `agent`. */
  program: v.array(v.string()),
  /** Unix user the cluster runs as, when it is not the caller. */
  user: v.optional(v.string()),
  /** The agent's own settings laid over each node's file. */
  options: v.optional(v.record(v.string(), v.unknown())),
});

/** What `dev up` was told, kept in the folder for `status`, `down` and a second `up`. */
export type DevSettings = v.InferOutput<typeof settingsSchema>;

const settingsFile = (dir: string) => join(dir, 'dev.json');

export const loadSettings = (dir: string): DevSettings | undefined =>
  readJson(settingsFile(dir), settingsSchema);
export const saveSettings = (dir: string, settings: DevSettings): void =>
  writeJson(settingsFile(dir), settings);

/** Short, because Unix sockets lie below it and their paths are limited to 107 bytes. */
export function defaultDir(): string {
  return process.env.AGENT_DEV_DIR ?? join(tmpdir(), `agent-dev-${process.getuid?.() ?? 0}`);
}

/** The folder's name can be foreseen: one that somebody else made first, or a symbolic link, is refused. */
export function checkOwner(dir: string): void {
  try {
    const stat = lstatSync(dir);
    if (stat.isDirectory() && stat.uid === process.getuid?.()) return;
  } catch (cause) {
    if (errno(cause) === 'ENOENT') return;
    throw cause;
  }
  throw new AgentError({
    class: 'operator',
    code: 'dev_folder_foreign',
    message: `${dir} is not a folder of yours`,
    hint: 'name another with --dir',
  });
}

function addressAt(first: string, index: number): string {
  const parts = first.split('.').map(Number);
  const last = (parts[3] ?? 0) + index;
  const valid = parts.length === 4 && parts.every((part) => part >= 0 && part <= 255) && last <= 254;
  if (!valid || parts[0] !== 127) {
    throw usageError(
      `'${first}' is not a loopback address with room for the nodes`,
      'for example 127.0.0.11',
    );
  }
  return [...parts.slice(0, 3), last].join('.');
}

export function nodesOf(dir: string, settings: Pick<DevSettings, 'nodes' | 'first'>): DevNode[] {
  return Array.from({ length: settings.nodes }, (_, index) => {
    const name = `n${index + 1}`;
    const home = join(dir, name);
    return {
      name,
      address: addressAt(settings.first, index),
      dir: home,
      config: join(home, 'agent.yaml'),
      socket: join(home, 'run', 'agent.sock'),
      runDir: join(home, 'run'),
      logDir: join(home, 'log'),
      stateDir: join(home, 'state'),
      divergedDir: join(home, 'diverged'),
      pgData: join(home, 'pgdata'),
      consulDir: join(home, 'consul'),
    };
  });
}

/** The last lines of a file, for error messages; empty when it cannot be read. */
export function lastLines(path: string, count: number): string {
  try {
    return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-count).join('\n');
  } catch {
    return '';
  }
}
