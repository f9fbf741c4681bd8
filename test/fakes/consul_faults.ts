/**
 * What may happen to one client's calls. Each `next...` holds for one call, in the order they were asked for.
 */
import type { CallOptions, ConsulFailure, Unknown } from '../../agent/consul/port.ts';

export function unknown(code: ConsulFailure['code'], maybeApplied: boolean): Unknown {
  return { kind: 'unknown', cause: { code, maybeApplied, server: 'fake', message: `fake: ${code}` } };
}

type Fault =
  | { kind: 'lost_request' }
  | { kind: 'lost_reply' }
  | { kind: 'late'; onArrive: (arrive: () => void) => void }
  | { kind: 'delayed'; until: Promise<unknown> };

export class FakeFaults {
  #unavailable = false;
  #queue: Fault[] = [];
  #listeners = new Set<() => void>();

  /** No server can be reached; blocking queries that stand are broken. */
  setUnavailable(unavailable: boolean): void {
    this.#unavailable = unavailable;
    if (unavailable) for (const listener of [...this.#listeners]) listener();
  }

  /** Never arrives; the caller only knows that no answer came. */
  nextRequestLost(): void {
    this.#queue.push({ kind: 'lost_request' });
  }

  /** Is carried out; the caller only knows that no answer came. */
  nextReplyLost(): void {
    this.#queue.push({ kind: 'lost_reply' });
  }

  /** The caller gives up at once; the request is carried out when the returned function is called. */
  nextLate(): () => void {
    let arrive: (() => void) | undefined;
    this.#queue.push({ kind: 'late', onArrive: (carryOut) => (arrive = carryOut) });
    return () => arrive?.();
  }

  /** Neither carried out nor answered before `until` has resolved. */
  nextDelayed(until: Promise<unknown>): void {
    this.#queue.push({ kind: 'delayed', until });
  }

  onUnavailable(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Runs a call with whatever fault is due. */
  async carryOut<T>(write: boolean, options: CallOptions, call: () => T): Promise<T | Unknown> {
    if (options.signal?.aborted === true) return unknown('cancelled', false);
    if (this.#unavailable) return unknown('unreachable', false);
    const fault = this.#queue.shift();
    if (fault === undefined) return call();
    if (fault.kind === 'delayed') {
      await fault.until;
      return call();
    }
    if (fault.kind === 'lost_reply') call();
    if (fault.kind === 'late') fault.onArrive(call);
    return unknown('timeout', write);
  }
}
