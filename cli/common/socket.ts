/** Where the agent's Unix socket is. */
import { readFileSync } from 'node:fs';

export const DEFAULT_CONFIG = '/etc/cloudify/agent.yaml';
export const DEFAULT_SOCKET = '/run/cloudify/agent.sock';

type Env = Readonly<Record<string, string | undefined>>;

/** An empty variable counts as none. */
const set = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;

/** The configuration the command line or the environment names, else the default. */
export const configPath = (args: { config?: unknown }, env: Env): string =>
  set(args.config) ?? set(env.AGENT_CONFIG) ?? DEFAULT_CONFIG;

/**
 * --socket, else what --config says, else $AGENT_SOCKET, else what $AGENT_CONFIG or the default configuration
 * says. Reading and checking a configuration takes longer than the rest of a short command, so a text that
 * names neither key is not parsed. Throws what loadConfig throws.
 */
export async function findSocket(args: { config?: unknown; socket?: unknown }, env: Env): Promise<string> {
  const named = set(args.socket) ?? (set(args.config) === undefined ? set(env.AGENT_SOCKET) : undefined);
  if (named !== undefined) return named;
  const path = configPath(args, env);
  let text: string | undefined;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    if (path === DEFAULT_CONFIG) return DEFAULT_SOCKET;
  }
  if (text !== undefined && !/\b(socket|run_dir)\b|\\/.test(text)) return DEFAULT_SOCKET;
  const { loadConfig } = await import('../../agent/config/load.ts');
  return loadConfig(path).config.paths.socket;
}
