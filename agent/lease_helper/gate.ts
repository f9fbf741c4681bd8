/**
 * The kernel lease: client ports are open until a deadline that is moved by renewals, and shut by the kernel itself when
 * nobody moves it. One order at a time. At the deadline what is local is ended too.
 */
import { messageOf } from '../errors.ts';
import { createSerial } from '../platform/serial.ts';
import { setAgainAt, timeoutFor } from './timeouts.ts';

export interface GateHands {
  /** CLOCK_BOOTTIME, seconds; rather too late than too early. */
  now(): number;
  /** Calls back after so many seconds, or a little later. Returns how to cancel. */
  after(seconds: number, callback: () => void): () => void;
  /** Rules that go by the entries; before the first entry is made. Rejects when they are not in force. */
  rules(): Promise<void>;
  /** The ports are open, after they were shut. */
  opened(): void;
  /** Entries for all client ports, with this timeout. Rejects unless they are there. */
  open(seconds: number): Promise<void>;
  /** No entry any more. Rejects unless they are gone. */
  shut(): Promise<void>;
  /** Resets every connection of a client, once the ports are shut. Never rejects. */
  cut(): Promise<void>;
  /** Remembers the deadline for the next process; null: there is none. */
  mark(deadline: number | null): void;
  /** Ends what no port leads to: fenced rules, the writable server, active-only services. Never rejects. */
  fenceDown(): Promise<void>;
  /** After an orderly close, in the background. */
  closed(): void;
  say(level: 'info' | 'warn' | 'error', line: string): void;
}

/** ok: open until the deadline. closed: shut now. limit: the one in force. failed: not known to be as asked; the kernel's timeouts hold. */
export type Reply = 'ok' | 'closed' | `limit ${string}` | `refused: ${string}` | `failed: ${string}`;

/** Clocks are read at two ends, in hundredths. */
const SLACK = 0.05;
/** Clients are reset before their server is killed, which leaves nobody to speak for it; the killing waits no longer, seconds. */
const CUTTING = 0.3;
/** After a restart: whoever holds the lease tells it again by then, seconds. */
const GRACE = 0.3;
/** A lease that ran out so long before nobody tells again, seconds: its clients have waited long enough. */
const LONG_OVER = 2;

export function createGate(longest: number, hands: GateHands) {
  /** How far ahead a deadline may be; `longest` is what root's file allows. */
  let limit = longest;
  let deadline: number | null = null;
  let ends = 0;
  let cancel = () => {};
  let fencing: Promise<void> | null = null;
  const serial = createSerial();
  /** Since when the order whose turn it is has been at work; null: none is. */
  let working: number | null = null;

  const inTurn = <T>(work: () => Promise<T>): Promise<T> =>
    serial(async () => {
      working = hands.now();
      try {
        return await work();
      } finally {
        working = null;
      }
    });

  const shut = async (): Promise<void> => {
    ends = 0;
    await hands.shut();
  };

  function schedule(): void {
    cancel();
    if (deadline === null) return;
    const now = hands.now();
    const next = Math.min(deadline, setAgainAt(deadline, ends, now) ?? deadline);
    cancel = hands.after(Math.max(0, next - now), () => void inTurn(due));
  }

  async function due(): Promise<void> {
    if (deadline === null) return;
    const now = hands.now();
    if (now >= deadline) return await expire('the lease was not renewed');
    try {
      const seconds = timeoutFor(deadline, now);
      if (ends > now && seconds >= 1) await openFor(deadline, seconds);
    } catch (thrown) {
      hands.say('error', `the entries were not set again: ${messageOf(thrown)}`);
    }
    schedule();
  }

  /** Checks the deadline again after setting: whatever took so long, nothing stays open past it. */
  async function openFor(until: number, seconds: number): Promise<boolean> {
    const before = hands.now();
    await hands.open(seconds);
    ends = before + seconds;
    if (hands.now() < until) return true;
    await expire('setting the entries took too long');
    return false;
  }

  async function expire(why: string): Promise<void> {
    deadline = null;
    cancel();
    hands.say('warn', `${why}: client ports shut, local writers are ended`);
    const quiet = shut()
      .catch((thrown) => hands.say('error', `the entries were not deleted: ${messageOf(thrown)}`))
      .then(reset);
    fencing = atMost(CUTTING, quiet)
      .then(hands.fenceDown)
      .then(() => {
        fencing = null;
        if (deadline === null) hands.mark(null);
      });
    await quiet;
  }

  const reset = (): Promise<void> => atMost(CUTTING, hands.cut());

  function atMost(seconds: number, work: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const forget = hands.after(seconds, resolve);
      void work.then(() => {
        forget();
        resolve();
      });
    });
  }

  async function renew(until: number): Promise<Reply> {
    const now = hands.now();
    if (until - now > limit + SLACK) {
      hands.say('error', `refused a deadline ${(until - now).toFixed(2)} s ahead; the longest is ${limit} s`);
      return 'refused: too far ahead';
    }
    if (fencing !== null) return 'closed';
    const seconds = timeoutFor(until, now);
    if (seconds < 1) {
      await shut();
      return 'closed';
    }
    const opening = deadline === null;
    if (opening) await hands.rules();
    deadline = until;
    hands.mark(until);
    try {
      // The rules may have taken a while.
      const left = opening ? timeoutFor(until, hands.now()) : seconds;
      if (left < 1 || !(await openFor(until, left))) return 'closed';
      if (opening) {
        hands.say('info', 'client ports open');
        hands.opened();
      }
      return 'ok';
    } catch (thrown) {
      // It never was open: there is nothing to end at a deadline.
      if (opening) await close();
      throw thrown;
    } finally {
      schedule();
    }
  }

  async function close(): Promise<Reply> {
    const was = deadline;
    deadline = null;
    cancel();
    await shut();
    if (was !== null) {
      // Answered after it: whoever asks ends the server next, and then nobody speaks for it.
      await reset();
      hands.say('info', 'client ports shut');
      hands.closed();
    }
    if (fencing === null) hands.mark(null);
    return 'closed';
  }

  const answered = async (work: () => Promise<Reply>): Promise<Reply> => {
    try {
      return await inTurn(work);
    } catch (thrown) {
      hands.say('error', messageOf(thrown));
      return `failed: ${messageOf(thrown).replaceAll(/\s+/g, ' ').slice(0, 200)}`;
    }
  };

  return {
    renew: (until: number): Promise<Reply> => answered(() => renew(until)),
    /** As renew, while a deadline runs: without one nothing is open, and nothing is opened. */
    extend: (until: number): Promise<Reply> =>
      answered(async () => (deadline === null ? 'closed' : await renew(until))),
    /**
     * The cluster's own deadline where it is shorter than that of root's file: beyond it nothing is believed. May be moved again,
     * up to the file's. A deadline that runs already was right when it was told, and runs on.
     */
    limit: (seconds: number): Promise<Reply> =>
      answered(async () => {
        const next = Math.min(longest, seconds);
        if (next !== limit) hands.say('info', `at most ${next} s at a time from now on`);
        limit = next;
        return `limit ${next.toFixed(2)}`;
      }),
    close: (): Promise<Reply> => answered(close),
    /** The database could not be shut to its clients: it is ended with everything else, as at a deadline. */
    end: (): Promise<Reply> =>
      answered(async () => {
        if (fencing === null) await expire('told to end what is local');
        return 'closed';
      }),
    /**
     * Goes on from what an earlier process left. A deadline that still runs goes on running; one that passed meanwhile is
     * expired, a moment ago: unless the lease's holder is heard at once; longer ago: at once. Without one, whatever is open is shut.
     */
    resume: (left: number | null): Promise<void> =>
      inTurn(async () => {
        if (left === null) return await shut();
        const now = hands.now();
        // 0 is one that cannot be read: when it passed is not known.
        if (left > 0 && left < now - LONG_OVER)
          return await expire(
            `the lease ran out ${(now - left).toFixed(1)} s ago, and nobody was here to see it`,
          );
        deadline = Math.min(Math.max(left, now + GRACE), now + longest);
        // The kernel ends the entries by itself, at most so late; not known closer.
        ends = Math.max(now, Math.min(left, deadline));
        schedule();
      }),
    get deadline() {
      return deadline;
    },
    /** False while one order has been at work for more than `seconds`: nobody else's is heard, and no deadline is kept. */
    serves: (seconds: number): boolean => working === null || hands.now() - working <= seconds,
    /** Waits for a fence-down under way; for tests and for the end of the process. */
    settled: async (): Promise<void> => {
      await serial(() => {});
      await fencing;
    },
  };
}

export type Gate = ReturnType<typeof createGate>;
