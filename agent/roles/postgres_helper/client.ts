/**
 * The PostgreSQL driver as the agent sees it on a VM: every call goes to the helper. What the helper does not answer comes out
 * as what the interface has for it: facts are unknown, outcomes failed, readings null.
 */
import type { Outcome, PgFacts } from '../../core/postgres.ts';
import { AgentError, messageOf } from '../../errors.ts';
import { version } from '../../version.ts';
import { DETACH, type Postgres, type Progress } from '../postgres/port.ts';
import { createConnection } from './connection.ts';
import { type Method, manners, type Names, type ToAgent, uptime } from './messages.ts';

/** How long a call waits for the connection to be made, at most: the helper may just be starting. Milliseconds. */
const PATIENCE = 500;

/** Nothing is known: not that a server runs, and not that none does. */
export const unknownFacts: PgFacts = {
  data: 'unknown',
  process: 'unknown',
  accepting: false,
  role: 'unknown',
  standbySignal: false,
  systemId: null,
  position: null,
  streaming: false,
  upstreamHost: null,
  syncList: null,
  walSenders: [],
  fenced: 'unknown',
};

type Waiting = {
  resolve(value: unknown): void;
  reject(error: Error): void;
  progress?: Progress;
};

export type HelperClient = {
  socketPath: string;
  names: Names;
  say(line: string): void;
};

export function createHelperClient(o: HelperClient): Postgres {
  const waiting = new Map<number, Waiting>();
  const lossCallbacks: (() => void)[] = [];
  let identity: string | null = null;
  let lastId = 0;
  let complained = '';

  const changed = (): void => {
    for (const callback of lossCallbacks) callback();
  };
  const complain = (line: string): void => {
    if (line !== complained) o.say(line);
    complained = line;
  };
  const settle = (id: number): Waiting | undefined => {
    const call = waiting.get(id);
    waiting.delete(id);
    return call;
  };
  const take = (message: ToAgent): void => {
    if (message.t === 'said') o.say(message.line);
    else if (message.t === 'lost') changed();
    else if (message.t === 'progress') waiting.get(message.id)?.progress?.(message.step);
    else if (message.t === 'answer') settle(message.id)?.resolve(message.value);
    else if (message.t === 'error') settle(message.id)?.reject(new Error(message.message));
  };
  const connection = createConnection({
    socketPath: o.socketPath,
    opening: () => ({ t: 'open', version, names: o.names, identity }),
    take,
    opened() {
      if (complained !== '') o.say('the PostgreSQL helper answers');
      complained = '';
      changed();
    },
    lost(why) {
      complain(why);
      const all = [...waiting.values()];
      waiting.clear();
      for (const call of all) call.reject(new Error(why));
      changed();
    },
    refused: (why) => complain(`the PostgreSQL helper refuses: ${why}`),
  });

  async function call(method: Method, args: unknown[], progress?: Progress, signal?: AbortSignal) {
    const manner = manners[method];
    const ms = manner.ms === undefined ? (manner.limit ?? null) : Number(args[manner.ms]);
    const until = ms === null ? null : uptime() + ms;
    await connection.ready(Math.min(PATIENCE, ms ?? PATIENCE));
    const id = ++lastId;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    waiting.set(id, { resolve, reject, ...(progress === undefined ? {} : { progress }) });
    const heard = connection.heard;
    const timer =
      ms === null
        ? undefined
        : setTimeout(() => {
            waiting.delete(id);
            reject(new Error(`the PostgreSQL helper did not answer ${method} in time`));
            if (connection.heard === heard) connection.probe();
          }, ms + manner.slack);
    // The agent stops and wants its task to go on: the helper sees the connection close.
    const cancel = () => signal?.reason !== DETACH && connection.send({ t: 'cancel', id });
    signal?.addEventListener('abort', cancel, { once: true });
    connection.send({ t: 'call', id, method, args, until });
    if (signal?.aborted) cancel();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', cancel);
    }
  }

  const outcome = async (
    method: Method,
    args: unknown[],
    progress?: Progress,
    signal?: AbortSignal,
  ): Promise<never> => {
    try {
      return (await call(method, args, progress, signal)) as never;
    } catch (error) {
      return { kind: 'failed', why: messageOf(error) } satisfies Outcome as never;
    }
  };
  const or = async <T>(instead: T, method: Method, args: unknown[]): Promise<T> => {
    try {
      return (await call(method, args)) as T;
    } catch {
      return instead;
    }
  };

  const surely = async (method: Method, args: unknown[] = []): Promise<never> => {
    try {
      return (await call(method, args)) as never;
    } catch (cause) {
      throw new AgentError({
        class: 'transient',
        code: 'postgres_helper_silent',
        message: messageOf(cause),
        hint: "see 'systemctl status cloudify-postgres-helper'",
        cause,
      });
    }
  };

  return {
    facts: (ms) => or(unknownFacts, 'facts', [ms]),
    replication: (ms) => or(null, 'replication', [ms]),
    position: (ms) => or(null, 'position', [ms]),
    history: (tli) => or(null, 'history', [tli]),
    inspect: () => surely('inspect'),
    missingLocales: (locales) => surely('missingLocales', [locales]),
    preflight: () => surely('preflight'),
    async setIdentity(name) {
      identity = name;
      // Without a connection the next one begins with it, before any call.
      if (connection.open) await call('setIdentity', [name]);
    },
    holdSettings: (ms) => outcome('holdSettings', [ms]),
    adopt: () => outcome('adopt', []),
    rehearse: () => outcome('rehearse', []),
    wipe: () => outcome('wipe', []),
    startStandby: (ms) => outcome('startStandby', [ms]),
    startPrimary: (ms) => outcome('startPrimary', [ms]),
    stop: (mode, ms, thenStandby) => outcome('stop', [mode, ms, thenStandby]),
    checkpoint: (ms) => outcome('checkpoint', [ms]),
    promote: (ms) => outcome('promote', [ms]),
    setUpstream: (upstream, ms) => outcome('setUpstream', [upstream, ms]),
    setSyncList: (list, ms) => outcome('setSyncList', [list, ms]),
    setCertificates: (certificates) => outcome('setCertificates', [certificates]),
    fence: (ms) => outcome('fence', [ms]),
    unfence: (ms) => outcome('unfence', [ms]),
    ensureReplicationRole: (ms) => outcome('ensureReplicationRole', [ms]),
    ensureSlots: (nodes, ms, drop) => outcome('ensureSlots', [nodes, ms, drop === true]),
    advanceSlots: (ms) => outcome('advanceSlots', [ms]),
    reserveTimelines: (next) => outcome('reserveTimelines', [next]),
    basebackup: (from, progress, signal) => outcome('basebackup', [from], progress, signal),
    rewind: (from, progress, signal) => outcome('rewind', [from], progress, signal),
    saveDivergence: (request) => outcome('saveDivergence', [request]),
    onLost: (callback) => {
      lossCallbacks.push(callback);
    },
    // The helper does so itself whenever its agent goes or another comes.
    abandon() {},
    async close() {
      connection.close();
      const all = [...waiting.values()];
      waiting.clear();
      for (const call of all) call.reject(new Error('closed'));
    },
  };
}
