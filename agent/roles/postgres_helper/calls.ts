/** Calls to the helper, each with its answer or the reason why there is none. */
import { version } from '../../version.ts';
import { DETACH, type Progress } from '../postgres/port.ts';
import { createConnection } from './connection.ts';
import { type Method, manners, type Names, type ToAgent, uptime } from './messages.ts';

/**
 * How long a call waits for the connection to be made, at most: the helper may just be starting.
 * Milliseconds.
 */
const PATIENCE = 500;

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

export interface Calls {
  /** Rejects when the helper does not answer in the time that the call has, or with what it says. */
  call(method: Method, args: unknown[], progress?: Progress, signal?: AbortSignal): Promise<unknown>;
  /** With what each connection begins from now on. */
  identity: string | null;
  readonly open: boolean;
  /** Something may have changed: the server ended, or the connection came or went. */
  onChange(callback: () => void): void;
  close(): void;
}

export function helperCalls(o: HelperClient): Calls {
  const waiting = new Map<number, Waiting>();
  const listeners: (() => void)[] = [];
  let identity: string | null = null;
  let lastId = 0;
  let complained = '';

  const changed = (): void => {
    for (const callback of listeners) callback();
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

  return {
    call,
    get identity() {
      return identity;
    },
    set identity(name) {
      identity = name;
    },
    get open() {
      return connection.open;
    },
    onChange: (callback) => void listeners.push(callback),
    close() {
      connection.close();
      const all = [...waiting.values()];
      waiting.clear();
      for (const one of all) one.reject(new Error('closed'));
    },
  };
}
