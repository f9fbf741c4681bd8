/** Does a write commit? One row, updated in place, in a schema of the agent's own. */
import { explain } from '../errors.ts';
import {
  type Check,
  type CheckResult,
  type CheckRun,
  fail,
  type PgTarget,
  pass,
  type Readers,
  skip,
  warn,
} from './port.ts';
import { backendState, beat, openForWriting } from './wire/heartbeat_row.ts';
import { ServerError } from './wire/messages.ts';
import type { WireSession } from './wire/session.ts';

/** A backend that was given work and has not answered. */
interface Hanging {
  readonly pid: number;
  readonly since: number;
}

/** Share of a run's time after which a write counts as late; the rest is for asking the server why. */
const PATIENCE = 0.6;

/**
 * Keeps one connection while active, and never has more than one backend: a write that hangs is waited for,
 * not repeated on another one. A write that is on this node's disk and waits for a standby is no fault of
 * this node: it is a failure only after `replicationMs`.
 */
export function postgresWrite(
  target: PgTarget,
  readers: Pick<Readers, 'role'>,
  now: () => number,
  replicationMs: number,
): Check {
  let session: WireSession | null = null;
  let hanging: Hanging | null = null;

  const drop = () => {
    session?.close();
    session = null;
  };

  /** The connection to write on, and whether it was there before. Throws when none can be had. */
  async function connected(run: CheckRun): Promise<{ to: WireSession; kept: boolean }> {
    if (session?.alive) return { to: session, kept: true };
    const since = now();
    session = await openForWriting(target, run.ms * PATIENCE, run.signal, (pid) => {
      hanging = { pid, since };
    });
    hanging = null;
    return { to: session, kept: false };
  }

  /** Writes once. False: no answer in time; the write goes on. */
  function write(to: WireSession, { ms }: CheckRun): Promise<boolean> {
    hanging = { pid: to.pid, since: now() };
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => resolve(false), ms * PATIENCE);
      const answered = () => {
        clearTimeout(timer);
        hanging = null;
        resolve(true);
      };
      beat(to).then(answered, (error: unknown) => {
        clearTimeout(timer);
        // Without the server's word the backend may still be at it.
        if (error instanceof ServerError) hanging = null;
        reject(error);
      });
    });
  }

  async function judge({ pid, since }: Hanging, { signal }: CheckRun): Promise<CheckResult | 'gone'> {
    const state = await backendState(target, pid, signal);
    if (state === 'busy') return fail('a write has not committed in time');
    if (state === 'gone') return 'gone';
    if (now() - since <= replicationMs) return warn('committed here, waiting for a standby');
    return fail(`a commit has waited for a standby for more than ${Math.round(replicationMs / 1000)} s`);
  }

  async function attempt(run: CheckRun): Promise<CheckResult> {
    if (hanging !== null) {
      const verdict = await judge(hanging, run);
      if (verdict !== 'gone') return verdict;
      hanging = null;
      drop();
    }
    const { to, kept } = await connected(run);
    try {
      if (await write(to, run)) return pass('a write commits');
    } catch (error) {
      drop();
      // A kept connection may have been ended for good reasons: a fresh one tells.
      if (kept && !run.signal.aborted) return attempt(run);
      throw error;
    }
    const late = hanging === null ? pass('a write commits') : await judge(hanging, run);
    return late === 'gone' ? fail('the connection was lost while a write was under way') : late;
  }

  return {
    name: 'postgres_write',
    ofRole: true,
    close: drop,
    async run(run): Promise<CheckResult> {
      // Written by an active alone: anybody else's row would be a divergence.
      if (readers.role() !== 'active') {
        drop();
        return skip('not the active');
      }
      try {
        return await attempt(run);
      } catch (error) {
        return fail(
          run.signal.aborted ? 'a write has not committed in time' : `a write failed: ${explain(error)}`,
        );
      }
    },
  };
}
