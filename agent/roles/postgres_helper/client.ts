/**
 * The PostgreSQL driver as the agent sees it on a VM: every call goes to the helper. What the helper does not
 * answer comes out as what the interface has for it: facts are unknown, outcomes failed, readings null.
 */
import type { Outcome, PgFacts } from '../../core/postgres.ts';
import { AgentError, messageOf } from '../../errors.ts';
import type { Postgres, Progress } from '../postgres/port.ts';
import { type HelperClient, helperCalls } from './calls.ts';
import type { Method } from './messages.ts';

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

export function createHelperClient(o: HelperClient): Postgres {
  const calls = helperCalls(o);

  const outcome = async (
    method: Method,
    args: unknown[],
    progress?: Progress,
    signal?: AbortSignal,
  ): Promise<never> => {
    try {
      return (await calls.call(method, args, progress, signal)) as never;
    } catch (error) {
      return { kind: 'failed', why: messageOf(error) } satisfies Outcome as never;
    }
  };
  const or = async <T>(instead: T, method: Method, args: unknown[]): Promise<T> => {
    try {
      return (await calls.call(method, args)) as T;
    } catch {
      return instead;
    }
  };

  const surely = async (method: Method, args: unknown[] = []): Promise<never> => {
    try {
      return (await calls.call(method, args)) as never;
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
      calls.identity = name;
      // Without a connection the next one begins with it, before any call.
      if (calls.open) await calls.call('setIdentity', [name]);
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
    onLost: (callback) => calls.onChange(callback),
    // The helper does so itself whenever its agent goes or another comes.
    abandon() {},
    async close() {
      calls.close();
    },
  };
}
