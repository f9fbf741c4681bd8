/** Blocking queries as a stream of values. The contract is in port.ts. */
import { sleep } from '../platform/clock.ts';
import type {
  Absent,
  ConsulKv,
  ConsulWatch,
  Listed,
  Present,
  ReadMeta,
  ReadOptions,
  Unknown,
  WatchOptions,
} from './port.ts';

export interface WatchTiming {
  /** Resolves after so many ms, or early when the signal aborts; never rejects. */
  sleep(ms: number, signal: AbortSignal): Promise<unknown>;
  /** From 0 up to 1. */
  random(): number;
}

const FIRST_BACKOFF_MS = 100;
const LAST_BACKOFF_MS = 5_000;

/** Jittered so that agents whose Consul failed do not come back in step: between half and the whole. */
export function backoffMs(failures: number, random: () => number): number {
  const whole = Math.min(LAST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** Math.min(failures - 1, 10));
  return whole * (0.5 + random() / 2);
}

const REAL: WatchTiming = { sleep, random: Math.random };

export class KvWatch implements ConsulWatch {
  readonly #kv: ConsulKv;
  readonly #timing: WatchTiming;

  constructor(kv: ConsulKv, timing: WatchTiming = REAL) {
    this.#kv = kv;
    this.#timing = timing;
  }

  key(key: string, onValue: (value: Present | Absent) => void, options: WatchOptions): Promise<void> {
    // A query on a missing key also ends when another key is written: only presence and ModifyIndex count.
    const mark = (value: Present | Absent): number => (value.kind === 'ok' ? value.entry.modifyIndex : 0);
    return this.#follow((read) => this.#kv.get(key, read), mark, onValue, options);
  }

  prefix(prefix: string, onValue: (value: Listed) => void, options: WatchOptions): Promise<void> {
    const mark = (value: Listed): string =>
      value.entries.map((entry) => `${entry.key}\0${entry.modifyIndex}`).join('\0');
    return this.#follow((read) => this.#kv.recurse(prefix, read), mark, onValue, options);
  }

  async #follow<T extends { readonly meta: ReadMeta }>(
    query: (read: ReadOptions) => Promise<T | Unknown>,
    mark: (value: T) => unknown,
    onValue: (value: T) => void,
    options: WatchOptions,
  ): Promise<void> {
    const { signal, onFailure } = options;
    const base: ReadOptions = {
      signal,
      waitMs: options.waitMs ?? 60_000,
      ...(options.consistency === undefined ? {} : { consistency: options.consistency }),
    };
    let index = 0;
    let failures = 0;
    let last: unknown;
    while (!signal.aborted) {
      const value = await query({ ...base, index });
      if (signal.aborted) return;
      if (isUnknown(value)) {
        failures += 1;
        // Ask at once next time, and say it again: whoever listens may have given the old value up.
        index = 0;
        last = undefined;
        onFailure?.(value.cause);
        await this.#timing.sleep(backoffMs(failures, this.#timing.random), signal);
        continue;
      }
      failures = 0;
      const seen = mark(value);
      if (last === undefined || seen !== last) onValue(value);
      last = seen;
      if (value.meta.index < index) {
        // Gone back: a restored store, or tombstones reaped. An old high index would wait for ever.
        index = 0;
        last = undefined;
      } else if (value.meta.index === index) {
        // Nothing new: the wait ran out, or the server does not wait. The second must not become a busy loop.
        await this.#timing.sleep(backoffMs(1, this.#timing.random), signal);
      } else {
        index = value.meta.index;
      }
    }
  }
}

function isUnknown(value: { readonly meta: ReadMeta } | Unknown): value is Unknown {
  return 'kind' in value && value.kind === 'unknown';
}
