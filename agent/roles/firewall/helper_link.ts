/**
 * The connection to the lease helper: one order after the other, each with its reply, made anew when it
 * breaks.
 */
import { connect, type Socket } from 'node:net';
import { sleep } from '../../platform/clock.ts';

/** Between attempts to reach a helper that is not there, ms. */
const AGAIN = 25;

export interface HelperLink {
  /** One order; null: no reply within `ms`, or the connection broke. The line is made as late as possible. */
  ask(line: () => string, ms: number): Promise<string | null>;
  /** As `ask`, and again on a new connection for as long as `ms` lasts and `stillWanted` says so. */
  order(line: () => string, ms: number, stillWanted: () => boolean): Promise<string | null>;
  /** For good. */
  dispose(): void;
  readonly disposed: boolean;
}

export interface HelperLinkParts {
  readonly socketPath: string;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** The connection is gone: what was told on it is not known any more. Comes before anybody is answered. */
  readonly lost: () => void;
  /** The helper hung up, or was never there. Comes last. */
  readonly hungUp: () => void;
}

export function helperLink({ socketPath, now, lost, hungUp }: HelperLinkParts): HelperLink {
  let socket: Socket | null = null;
  let waiting: ((reply: string | null) => void)[] = [];
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
      drop();
      hungUp();
    });
    made.unref?.();
    socket = made;
    return made;
  }

  function drop(): void {
    socket?.destroy();
    socket = null;
    // Whatever calls next must know already.
    lost();
    const all = waiting;
    waiting = [];
    for (const settle of all) settle(null);
  }

  function ask(line: () => string, ms: number): Promise<string | null> {
    return new Promise((resolve) => {
      const timer = setTimeout(drop, Math.max(1, ms));
      waiting.push((reply) => {
        clearTimeout(timer);
        resolve(reply);
      });
      connected().write(line());
    });
  }

  return {
    ask,
    async order(line, ms, stillWanted) {
      const end = now() + ms;
      for (;;) {
        const reply = await ask(line, end - now());
        if (reply !== null) return reply;
        if (now() + AGAIN >= end) return null;
        await sleep(AGAIN);
        // Looked at after the wait, right before it is said again: a close may have come in it.
        if (!stillWanted() || disposed) return null;
      }
    },
    dispose() {
      disposed = true;
      drop();
    },
    get disposed() {
      return disposed;
    },
  };
}
