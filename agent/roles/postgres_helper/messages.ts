/** What the agent and its PostgreSQL helper say to each other. */
import { boottime } from '../../platform/boottime.ts';
import type { Postgres } from '../postgres/port.ts';

/**
 * Who the server is for: known only once the manager is in a cluster, so not in the helper's configuration.
 */
export type Names = { node: string; hostIp: string; publicIp: string | null };

export type ToHelper =
  /** First on each connection. `identity` is put in force before any call. */
  | { t: 'open'; version: string; names: Names; identity: string | null }
  /** `until`: on the clock of `uptime`, after which the call must not be begun any more. */
  | { t: 'call'; id: number; method: Method; args: unknown[]; until: number | null }
  | { t: 'cancel'; id: number }
  | { t: 'ping' };

export type ToAgent =
  | { t: 'opened' }
  | { t: 'refused'; why: string }
  | { t: 'answer'; id: number; value: unknown }
  | { t: 'error'; id: number; message: string }
  | { t: 'progress'; id: number; step: { what: string; bytes?: number; total?: number } }
  /** The server's process ended, or the driver's connection to it broke. */
  | { t: 'lost' }
  | { t: 'said'; line: string }
  | { t: 'pong' };

export type Method = Exclude<keyof Postgres, 'onLost' | 'abandon' | 'close'>;

export type Manner = {
  /** Which argument is the deadline in milliseconds; or `limit` for those without one. */
  ms?: number;
  limit?: number;
  /** Milliseconds that it may take longer than its deadline. */
  slack: number;
  /** Begun even when it comes too late: it takes away, and gives nothing. */
  late?: true;
  /** Goes on without the agent that asked for it, for a while. */
  task?: true;
};

const usual = 500;
/** What is killed at the deadline, and what the control file is read for, takes a moment more. */
const ending = 5000;

export const manners: Readonly<Record<Method, Manner>> = {
  facts: { ms: 0, slack: 300 },
  position: { ms: 0, slack: 300 },
  replication: { ms: 0, slack: 300 },
  preflight: { limit: 300_000, slack: usual },
  holdSettings: { ms: 0, slack: usual },
  inspect: { limit: 5000, slack: usual },
  missingLocales: { limit: 30_000, slack: usual },
  history: { limit: 5000, slack: usual },
  adopt: { limit: 30_000, slack: usual },
  rehearse: { limit: 20_000, slack: ending },
  wipe: { limit: 120_000, slack: usual, late: true },
  startStandby: { ms: 0, slack: ending },
  startPrimary: { ms: 0, slack: ending },
  stop: { ms: 1, slack: ending, late: true },
  checkpoint: { ms: 0, slack: usual },
  promote: { ms: 0, slack: usual },
  setUpstream: { ms: 1, slack: usual },
  setIdentity: { limit: 5000, slack: usual },
  setSyncList: { ms: 1, slack: usual },
  setCertificates: { limit: 10_000, slack: usual },
  fence: { ms: 0, slack: usual, late: true },
  unfence: { ms: 0, slack: usual },
  ensureReplicationRole: { ms: 0, slack: usual },
  ensureSlots: { ms: 1, slack: usual },
  advanceSlots: { ms: 0, slack: usual },
  reserveTimelines: { limit: 10_000, slack: usual },
  basebackup: { task: true, slack: 0 },
  rewind: { task: true, slack: 0 },
  saveDivergence: { task: true, slack: 0 },
};

export const isMethod = (name: unknown): name is Method =>
  typeof name === 'string' && Object.hasOwn(manners, name);

/**
 * Milliseconds since boot: the one clock that two processes of a machine share and that never jumps. Steps of
 * 10 ms.
 */
export const uptime = (): number => boottime() * 1000;
