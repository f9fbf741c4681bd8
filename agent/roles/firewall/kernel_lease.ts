/** The agent's end of the kernel lease: says until when client ports may stay open. The helper's root process does it. */
import { connect, type Socket } from 'node:net';
import type { Outcome } from '../../core/postgres.ts';
import { boottime } from '../../platform/boottime.ts';

export interface KernelLease {
  /**
   * Client ports stay open until `untilMs` (on this process' monotonic clock) at the latest. Done: they are open in the
   * kernel. A helper that is being restarted is waited for, `ms` at most; and told again by itself when the connection breaks.
   */
  renew(untilMs: number, ms?: number): Promise<Outcome>;
  /** Shuts them. Done: there is no entry in the kernel any more. */
  close(ms?: number): Promise<Outcome>;
  /** As at a deadline: shut, and a server that may write is ended by systemd with the active-only services. */
  end(ms?: number): Promise<Outcome>;
  /** Lets go of the connection; what is open stays so until its deadline. */
  dispose(): void;
}

export interface KernelLeaseOptions {
  readonly socketPath: string;
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

const failed = (why: string): Outcome => ({ kind: 'failed', why: `kernel lease: ${why}` });
const DONE: Outcome = { kind: 'done' };

export function createKernelLease(options: KernelLeaseOptions): KernelLease {
  const { socketPath, now = () => performance.now(), boottime: boot = boottime } = options;
  let socket: Socket | null = null;
  let waiting: ((reply: string | null) => void)[] = [];
  /** What the helper must know as long as it lasts. */
  let told = 0;
  let disposed = false;

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
      if (!disposed && told > now()) void renew(told, Math.min(told - now(), RESTART));
    });
    made.unref?.();
    socket = made;
    return made;
  }

  function lost(): void {
    socket?.destroy();
    socket = null;
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
      await new Promise((done) => setTimeout(done, AGAIN));
      // Looked at after the wait, right before it is said again: a close may have come in it.
      if (!stillWanted() || disposed) return null;
    }
  }

  async function renew(untilMs: number, ms = DEADLINE): Promise<Outcome> {
    told = untilMs;
    // The clock that is shared is read first: whatever comes between makes the deadline earlier.
    const line = (): string => {
      const shared = boot();
      const deadline = Math.max(0, shared + (untilMs - now()) / 1000);
      return `renew ${(Math.floor(deadline * 100) / 100).toFixed(2)}\n`;
    };
    const reply = await order(line, ms, () => told === untilMs && now() < untilMs);
    if (reply === 'ok') return DONE;
    return failed(reply === null ? 'the helper does not answer' : reply);
  }

  async function shut(line: string, ms: number): Promise<Outcome> {
    told = 0;
    const reply = await order(
      () => line,
      ms,
      () => told === 0,
    );
    if (reply === 'closed') return DONE;
    return failed(reply === null ? 'the helper does not answer' : reply);
  }

  return {
    renew,
    close: (ms = DEADLINE) => shut('close\n', ms),
    end: (ms = DEADLINE) => shut('end\n', ms),
    dispose() {
      disposed = true;
      lost();
    },
  };
}
