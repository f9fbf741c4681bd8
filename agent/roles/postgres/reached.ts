/**
 * Where clients find the manager's own database, and what agent.yaml has to say so that they find it there:
 * each as the line to write. Pure but for links, which it follows to tell one folder from another.
 */
import { isIP } from 'node:net';
import type { ConfEntry } from './manager_conf.ts';
import type { PgOptions } from './options.ts';
import { resolved } from './place.ts';

/** As agent.yaml has it; `host`: undefined where the node has no address yet. */
export type Reached = Pick<PgOptions, 'port' | 'socketDir' | 'listen' | 'listenDecided'> & {
  readonly host: string | undefined;
};

/** `line`: to be written under `postgres:`. `entry`: the manager's own word that it keeps. */
export type Kept = { readonly line: string; readonly entry: ConfEntry };

/** The last word on a setting. */
export function lastOf(entries: readonly ConfEntry[], name: string): ConfEntry | undefined {
  return entries.findLast((entry) => entry.name === name && entry.value !== '');
}

const listed = (value: string): string[] =>
  value.split(',').map((one) => one.trim().replace(/^"(.*)"$/, '$1'));

/** Null: it stays where it is. */
export function keptPort(entries: readonly ConfEntry[], { port }: Pick<Reached, 'port'>): Kept | null {
  const entry = lastOf(entries, 'port');
  if (entry === undefined || Number(entry.value) === port) return null;
  return { line: `port: ${entry.value}`, entry };
}

const LOCAL: readonly string[] = ['localhost', '127.0.0.1', '::1'];

export const asList = (addresses: readonly string[]): string =>
  JSON.stringify(addresses).replaceAll(',', ', ');

/**
 * What the manager listens on is not given up in silence, unless an operator decided what to listen on. Null:
 * nothing is.
 */
export function keptAddresses(entries: readonly ConfEntry[], o: Omit<Reached, 'port'>): Kept | null {
  const entry = lastOf(entries, 'listen_addresses');
  if (entry === undefined || o.listenDecided) return null;
  const ours = oursOf(o);
  const covered = (one: string) => one === '' || ours.includes(one) || LOCAL.includes(one);
  const lost = listed(entry.value).filter((one) => !covered(one));
  if (lost.length === 0) return null;
  // All of a family, and one of it besides, are in each other's way.
  const wild = { 4: ['*', '0.0.0.0'], 6: ['*', '::'] } as const;
  const every = (family: 4 | 6) => lost.some((one) => (wild[family] as readonly string[]).includes(one));
  const single = [...new Set([...ours, ...lost])].filter((one) => {
    const family = isIP(one);
    return family === 4 || family === 6 ? !every(family) : one === o.host;
  });
  const all = [...(every(4) ? ['0.0.0.0'] : []), ...(every(6) ? ['::'] : []), ...single];
  return { line: `listen: ${asList(all)}`, entry };
}

export const oursOf = ({ listen, host }: Pick<Reached, 'listen' | 'host'>): readonly string[] =>
  listen ?? (host === undefined ? [] : [host]);

/** Null: it stays where it is. */
export function keptSocket(
  entries: readonly ConfEntry[],
  { socketDir }: Pick<Reached, 'socketDir'>,
): Kept | null {
  const entry = lastOf(entries, 'unix_socket_directories') ?? lastOf(entries, 'unix_socket_directory');
  if (entry === undefined) return null;
  const [first = '', ...more] = listed(entry.value);
  if ([first, ...more].map(resolved).includes(resolved(socketDir))) return null;
  return { line: `socket_dir: ${JSON.stringify(first)}`, entry };
}
