/**
 * The connections of clients, ended aloud. A gate that shuts swallows a server's last word, and a client that
 * only waits sends nothing that could be refused: without this it waits for ever. Members' connections to the
 * database stay: the last WAL goes there.
 */

import { isIP } from 'node:net';
import { messageOf } from '../errors.ts';
import { type RunResult, run } from '../platform/process.ts';
import { SET_PEERS } from '../trampoline/names.ts';
import type { IpsetPipe } from './ipset_pipe.ts';

/** ms. */
const LIMIT = 1000;
const ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };

/**
 * Addresses in the sets of members, as `ipset list` of both prints them; undefined unless both are there and
 * understood. Pure.
 */
export function parseMembers(output: string): string[] | undefined {
  const lists = [...output.matchAll(/^Members:\n((?:[0-9a-fA-F.:]+\n)*)/gm)].map(([, lines]) => lines ?? '');
  if (lists.length !== 2) return undefined;
  const addresses = lists.flatMap((lines) => lines.split('\n').filter((line) => line !== ''));
  return addresses.every((address) => isIP(address) !== 0) ? addresses : undefined;
}

/**
 * Sockets of this machine's servers on `ports`, as an `ss` filter; on the database's, not those of `members`.
 * Members unknown: none on the database's. Pure.
 */
export function socketFilter(
  ports: readonly number[],
  database: number,
  members: readonly string[] | undefined,
): string | undefined {
  const others = (members ?? []).map(
    (address) => ` and not dst ${isIP(address) === 6 ? `[${address}]` : address}`,
  );
  const parts = ports.flatMap((port) => {
    if (port !== database) return [`sport = :${port}`];
    return members === undefined ? [] : [`( sport = :${port}${others.join('')} )`];
  });
  return parts.length === 0 ? undefined : `( ${parts.join(' or ')} )`;
}

export interface ConnectionParts {
  readonly ports: readonly number[];
  readonly database: number;
  readonly pipe: IpsetPipe;
  say(level: 'info' | 'warn' | 'error', line: string): void;
  /** For tests. */
  readonly ss?: (args: readonly string[]) => Promise<RunResult>;
}

const callSs = (args: readonly string[]): Promise<RunResult> =>
  run('ss', args, { deadline: LIMIT, cwd: '/', env: ENVIRONMENT });

export function createConnections(parts: ConnectionParts) {
  const { ports, database, pipe, say, ss = callSs } = parts;

  async function members(): Promise<string[] | undefined> {
    const lists = [SET_PEERS.v4, SET_PEERS.v6].map((set) => `list ${set}`);
    const known = parseMembers(await pipe.send(lists).catch(() => ''));
    // After an error an `ipset -` fails at everything.
    if (known === undefined) pipe.close();
    return known;
  }

  async function listed(...args: string[]): Promise<number> {
    const { code, ended, stdout, stderr } = await ss(args);
    if (code !== 0 || ended !== undefined)
      throw new Error(`ss: ${stderr.trim().slice(0, 200) || ended || code}`);
    return stdout.split('\n').filter((line) => line !== '').length;
  }

  const failing = (thrown: unknown): void =>
    say('error', `resetting the connections of clients: ${messageOf(thrown)}`);
  let looking: Promise<void> = Promise.resolve();

  /** A kernel that cannot says nothing. */
  async function look(filter: string): Promise<void> {
    const left = await listed('-H', '-n', '-t', 'state', 'established', filter);
    if (left > 0)
      say(
        'error',
        `${left} connections of clients could not be reset: they end when their client next sends something`,
      );
  }

  return {
    /**
     * To be called once the ports are shut, or others take their place. Resolves when they are ended; whether
     * they are is looked at after that. Never rejects.
     */
    async end(): Promise<void> {
      try {
        const known = await members();
        if (known === undefined)
          say('warn', 'members are not known: connections to the database are left to the database');
        const filter = socketFilter(ports, database, known);
        if (filter === undefined) return;
        const ended = await listed('-K', '-H', '-n', '-t', 'state', 'connected', filter);
        if (ended > 0) say('info', `${ended} connections of clients reset`);
        looking = look(filter).catch(failing);
      } catch (thrown) {
        failing(thrown);
      }
    },
    /** The look after the last `end`; for tests. */
    looked: (): Promise<void> => looking,
  };
}
