/** The agent's end of the kernel lease: says until when client ports may stay open. The helper's root process does it. */

import { connect, type Socket } from 'node:net';
import type { Outcome } from '../../core/postgres.ts';
import { boottime } from '../../platform/boottime.ts';
import { sleep } from '../../platform/clock.ts';

export interface KernelLease {
  /**
   * Client ports stay open until `untilMs` (on this process' monotonic clock) at the latest. Done: they are open in the
   * kernel. A helper that is being restarted is waited for, `ms` at most; and told again by itself when the connection breaks.
   */
  renew(untilMs: number, ms?: number): Promise<Outcome>;
  /**
   * As `renew`, but opens nothing: for a process that does not know yet whether what its predecessor opened is open. Failed also where
   * the helper is an older one, which knows no such order.
   */
  keep(untilMs: number): Promise<Outcome>;
  /** The cluster's deadline, ms: nothing is asked for that is further ahead, and the helper is told to believe nothing that is. */
  limit(ms: number): void;
  /** Shuts them. Done: there is no entry in the kernel any more. */
  close(ms?: number): Promise<Outcome>;
  /** As at a deadline: shut, and a server that may write is ended by systemd with the active-only services. */
  end(ms?: number): Promise<Outcome>;
  /** Lets go of the connection; what is open stays so until its deadline. */
  dispose(): void;
}

export interface KernelLeaseOptions {
  readonly socketPath: string;
  /** What the helper's own file allows, ms: a right that runs longer is told to it in pieces. */
  readonly longest?: number;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
  /** CLOCK_BOOTTIME seconds. */
  readonly boottime?: () => number;
}

const DEADLINE = 200;
/** A helper that is restarted is back by then, ms. */
const RESTART = 2000;
/** Between attempts to reach a helper that is not there, ms. */
const AGAIN = 25;
/** A helper that hung up on `limit` may be an older one, which knows no such order: it is not told again for so long, ms. */
const OLDER = 60_000;
/** What opens nothing waits so long for a helper that is being restarted as well: less than a retry period, ms. */
const KEEPING = 400;
type Word = 'renew' | 'extend';
const TOO_FAR = 'refused: too far ahead';

const failed = (why: string): Outcome => ({ kind: 'failed', why: `kernel lease: ${why}` });
const DONE: Outcome = { kind: 'done' };

export function createKernelLease(options: KernelLeaseOptions): KernelLease {
  const {
    socketPath,
    longest = Number.POSITIVE_INFINITY,
    now = () => performance.now(),
    boottime: boot = boottime,
  } = options;
  let socket: Socket | null = null;
  let waiting: ((reply: string | null) => void)[] = [];
  /** What the helper must know as long as it lasts. */
  let told = 0;
  /** In which word: what was not to open anything does not when it is said again. */
  let telling: Word = 'renew';
  let disposed = false;
  /** The cluster's deadline; what the helper was told of it on this connection; what it answered that is in force. */
  let wished = Number.POSITIVE_INFINITY;
  let limited: number | null = null;
  let allowed = Number.POSITIVE_INFINITY;
  let lowered = false;
  let limiting = false;
  let olderUntil = Number.NEGATIVE_INFINITY;
  let nextPiece: ReturnType<typeof setTimeout> | undefined;

  function connected(): Socket {
    if (socket !== null) return socket;
    const made = connect(socketPath);
    let rest = '';
    made.on('error', () => {});
    made.on('data', (chunk) => {
      rest += chunk.toString();
      const lines = rest.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) waiting.shift()?.(line);
    });
    made.on('close', () => {
      if (socket !== made) return;
      lost();
      // Its successor knows only what was written down; an unheard renewal of ours would pass for none.
      if (!disposed && told > now()) void tell(telling, told, Math.min(told - now(), RESTART));
    });
    made.unref?.();
    socket = made;
    return made;
  }

  function lost(): void {
    socket?.destroy();
    socket = null;
    limited = null;
    // Whatever calls next must know already.
    if (limiting) olderUntil = now() + OLDER;
    limiting = false;
    const all = waiting;
    waiting = [];
    for (const settle of all) settle(null);
  }

  /** One order on the connection; null: no reply. Its line is made as late as possible. */
  function ask(line: () => string, ms: number): Promise<string | null> {
    return new Promise((resolve) => {
      const timer = setTimeout(lost, Math.max(1, ms));
      waiting.push((reply) => {
        clearTimeout(timer);
        resolve(reply);
      });
      connected().write(line());
    });
  }

  async function order(line: () => string, ms: number, stillWanted: () => boolean): Promise<string | null> {
    const end = now() + ms;
    for (;;) {
      const reply = await ask(line, end - now());
      if (reply !== null) return reply;
      if (now() + AGAIN >= end) return null;
      await sleep(AGAIN);
      // Looked at after the wait, right before it is said again: a close may have come in it.
      if (!stillWanted() || disposed) return null;
    }
  }

  const furthest = (): number => Math.min(longest, wished, allowed);

  /** Goes ahead of a renewal on the same connection, so that it holds for that one already. */
  function tellLimit(ms: number): void {
    const want = Math.min(wished, longest);
    if (want === limited || !Number.isFinite(want) || now() < olderUntil) return;
    if (want >= longest && !lowered) return;
    const seconds = (Math.floor(want / 10) / 100).toFixed(2);
    const asked = ask(() => `limit ${seconds}\n`, ms);
    limited = want;
    limiting = true;
    lowered = true;
    void asked.then((reply) => {
      limiting = false;
      const found = /^limit (\d+\.\d\d)$/.exec(reply ?? '');
      allowed = found ? Number(found[1]) * 1000 : Number.POSITIVE_INFINITY;
    });
  }

  /** The helper is told the rest of the right in time, when it is further ahead than it may be told at once. */
  function tellOn(untilMs: number): void {
    clearTimeout(nextPiece);
    if (untilMs - now() <= furthest() || disposed) return;
    nextPiece = setTimeout(() => {
      if (told === untilMs && !disposed) void tell(telling, untilMs, DEADLINE);
    }, furthest() / 3);
    nextPiece.unref?.();
  }

  async function tell(word: Word, untilMs: number, ms: number): Promise<Outcome> {
    told = untilMs;
    telling = word;
    tellLimit(ms);
    // The clock that is shared is read first: whatever comes between makes the deadline earlier.
    const line = (): string => {
      const shared = boot();
      const deadline = Math.max(0, shared + Math.min(untilMs - now(), furthest()) / 1000);
      return `${word} ${(Math.floor(deadline * 100) / 100).toFixed(2)}\n`;
    };
    const wanted = () => told === untilMs && now() < untilMs;
    let reply = await order(line, ms, wanted);
    if (reply === TOO_FAR && wanted()) {
      // A limit of the process before this one: it is told anew.
      limited = null;
      lowered = true;
      tellLimit(ms);
      reply = await order(line, ms, wanted);
    }
    if (wanted()) tellOn(untilMs);
    if (reply === 'ok') return DONE;
    return failed(reply === null ? 'the helper does not answer' : reply);
  }

  async function shut(line: string, ms: number): Promise<Outcome> {
    told = 0;
    clearTimeout(nextPiece);
    const reply = await order(
      () => line,
      ms,
      () => told === 0,
    );
    if (reply === 'closed') return DONE;
    return failed(reply === null ? 'the helper does not answer' : reply);
  }

  return {
    renew: (untilMs, ms = DEADLINE) => tell('renew', untilMs, ms),
    keep: (untilMs) => tell('extend', untilMs, KEEPING),
    limit(ms) {
      wished = ms;
    },
    close: (ms = DEADLINE) => shut('close\n', ms),
    end: (ms = DEADLINE) => shut('end\n', ms),
    dispose() {
      disposed = true;
      clearTimeout(nextPiece);
      lost();
    },
  };
}
