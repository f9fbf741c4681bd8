/** Server-sent events: the log as it is written, and changes of health. */
import type { Context } from 'hono';
import { type SSEStreamingApi, streamSSE } from 'hono/streaming';
import type { AgentApi, LogLine } from '../api/types.ts';

/**
 * Lines waiting for a reader that does not read; past that the reader is let go rather than the agent fed
 * upon.
 */
const QUEUE_LIMIT = 10_000;
/** A comment line, so that a dead reader is noticed. Milliseconds. */
const KEEPALIVE = 15_000;
const HEALTH_INTERVAL = 250;

type Event = { event: string; data: string; id?: string };

const logEvent = (line: LogLine): Event => ({ event: 'log', data: JSON.stringify(line), id: line.cursor });

/** Writes what `feed` pushes until the reader goes. `feed` returns how to stop it. */
function pump(c: Context, feed: (push: (event: Event) => void) => () => void): Response {
  return streamSSE(c, async (stream: SSEStreamingApi) => {
    const queue: Event[] = [];
    let wake = () => {};
    const over = () => stream.aborted || stream.closed || queue.length > QUEUE_LIMIT;
    const stop = feed((event) => {
      queue.push(event);
      wake();
    });
    stream.onAbort(() => wake());
    try {
      // At once, so that the reader sees the connection accepted even when there is nothing to say.
      await stream.write(': open\n\n');
      while (!over()) {
        const event = queue.shift();
        if (event !== undefined) await stream.writeSSE(event);
        else {
          let timer: ReturnType<typeof setTimeout> | undefined;
          const idle = await new Promise<boolean>((resolve) => {
            wake = () => resolve(false);
            timer = setTimeout(() => resolve(true), KEEPALIVE);
          });
          clearTimeout(timer);
          if (idle && !over()) await stream.write(': still here\n\n');
        }
      }
    } finally {
      stop();
    }
  });
}

export interface Follow {
  readonly since?: string;
  readonly component?: string;
  /** How many lines of the past come first. */
  readonly limit?: number;
}

/** Past lines, then each new one: no line twice, none left out. */
export function followLog(c: Context, api: AgentApi, query: Follow): Response {
  return pump(c, (push) => {
    for (const line of api.logs(query)) push(logEvent(line));
    return api.onLog((line) => {
      if (query.component === undefined || line.component === query.component) push(logEvent(line));
    });
  });
}

/** Each log line as `log`, and `health` at first and whenever it changes. */
export function followEvents(c: Context, api: AgentApi): Response {
  return pump(c, (push) => {
    let last = '';
    const look = () => {
      const { lagBytes: _, ...health } = api.health();
      const text = JSON.stringify(health);
      if (text !== last) push({ event: 'health', data: text });
      last = text;
    };
    look();
    const timer = setInterval(look, HEALTH_INTERVAL);
    const unsubscribe = api.onLog((line) => push(logEvent(line)));
    return () => {
      clearInterval(timer);
      unsubscribe();
    };
  });
}
