/**
 * The kernel lease: client ports are open until a deadline that is moved by renewals, and shut by the kernel
 * itself when nobody moves it. One order at a time. At the deadline what is local is ended too.
 */

import { messageOf } from '../errors.ts';
import { createSerial } from '../platform/serial.ts';
import type { GateHands, Reply } from './gate_hands.ts';
import { setAgainAt, timeoutFor } from './timeouts.ts';

/** Clocks are read at two ends, in hundredths. */
const SLACK = 0.05;
/** Clients are reset before their server is killed, while it can speak for itself. At most so long, s. */
const CUTTING = 0.3;
/** After a restart: whoever holds the lease tells it again by then, seconds. */
const GRACE = 0.3;
/** A lease that ran out so long before nobody tells again, seconds: its clients have waited long enough. */
const LONG_OVER = 2;

export const createGate = (longest: number, hands: GateHands) => new LeaseGate(longest, hands);

class LeaseGate {
  readonly #longest: number;
  readonly #hands: GateHands;
  /** How far ahead a deadline may be; `longest` is what root's file allows. */
  #limit: number;
  #deadline: number | null = null;
  #ends = 0;
  #cancel = () => {};
  #fencing: Promise<void> | null = null;
  readonly #serial = createSerial();
  /** Since when the order whose turn it is has been at work; null: none is. */
  #working: number | null = null;

  constructor(longest: number, hands: GateHands) {
    this.#longest = longest;
    this.#limit = longest;
    this.#hands = hands;
  }

  renew(until: number): Promise<Reply> {
    return this.#answered(() => this.#renew(until));
  }

  /** As renew, while a deadline runs: without one nothing is open, and nothing is opened. */
  extend(until: number): Promise<Reply> {
    return this.#answered(async () => (this.#deadline === null ? 'closed' : await this.#renew(until)));
  }

  /**
   * The cluster's own deadline where it is shorter than that of root's file: beyond it nothing is believed.
   * May be moved again, up to the file's. A deadline that runs already was right when told, and runs on.
   */
  limit(seconds: number): Promise<Reply> {
    return this.#answered(async () => {
      const next = Math.min(this.#longest, seconds);
      if (next !== this.#limit)
        this.#hands.say('info', `from now on the lease is renewed for at most ${next} s at a time`);
      this.#limit = next;
      return `limit ${next.toFixed(2)}`;
    });
  }

  close(): Promise<Reply> {
    return this.#answered(() => this.#close());
  }

  /** The database could not be shut to its clients: it is ended with everything else, as at a deadline. */
  end(): Promise<Reply> {
    return this.#answered(async () => {
      if (this.#fencing === null) await this.#expire('told to stop what writes locally');
      return 'closed';
    });
  }

  /**
   * Goes on from what an earlier process left. A deadline that still runs goes on running; one that passed
   * meanwhile is expired, unless it was a moment ago and the holder is heard at once. Without one: shut.
   */
  resume(left: number | null): Promise<void> {
    return this.#inTurn(async () => {
      if (left === null) return await this.#shut();
      const now = this.#hands.now();
      // 0 is one that cannot be read: when it passed is not known.
      if (left > 0 && left < now - LONG_OVER)
        return await this.#expire(
          `the lease ran out ${(now - left).toFixed(1)} s ago, while this helper was not running`,
        );
      this.#deadline = Math.min(Math.max(left, now + GRACE), now + this.#longest);
      // The kernel ends the entries by itself, at most so late; not known closer.
      this.#ends = Math.max(now, Math.min(left, this.#deadline));
      this.#schedule();
    });
  }

  get deadline() {
    return this.#deadline;
  }

  /** False while one order is at work for over `seconds`: nobody else's is heard, no deadline is kept. */
  serves(seconds: number): boolean {
    return this.#working === null || this.#hands.now() - this.#working <= seconds;
  }

  /** Waits for a fence-down under way; for tests and for the end of the process. */
  async settled(): Promise<void> {
    await this.#serial(() => {});
    await this.#fencing;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.#serial(async () => {
      this.#working = this.#hands.now();
      try {
        return await work();
      } finally {
        this.#working = null;
      }
    });
  }

  async #shut(): Promise<void> {
    this.#ends = 0;
    await this.#hands.shut();
  }

  #schedule(): void {
    this.#cancel();
    if (this.#deadline === null) return;
    const now = this.#hands.now();
    const next = Math.min(this.#deadline, setAgainAt(this.#deadline, this.#ends, now) ?? this.#deadline);
    this.#cancel = this.#hands.after(Math.max(0, next - now), () => void this.#inTurn(() => this.#due()));
  }

  async #due(): Promise<void> {
    if (this.#deadline === null) return;
    const now = this.#hands.now();
    if (now >= this.#deadline) return await this.#expire('the lease was not renewed');
    try {
      const seconds = timeoutFor(this.#deadline, now);
      if (this.#ends > now && seconds >= 1) await this.#openFor(this.#deadline, seconds);
    } catch (thrown) {
      this.#hands.say('error', `the entries were not set again: ${messageOf(thrown)}`);
    }
    this.#schedule();
  }

  /** Checks the deadline again after setting: whatever took so long, nothing stays open past it. */
  async #openFor(until: number, seconds: number): Promise<boolean> {
    const before = this.#hands.now();
    await this.#hands.open(seconds);
    this.#ends = before + seconds;
    if (this.#hands.now() < until) return true;
    await this.#expire('setting the entries took too long');
    return false;
  }

  async #expire(why: string): Promise<void> {
    this.#deadline = null;
    this.#cancel();
    this.#hands.say('warn', `${why}: client ports shut, local writers are stopped`);
    const quiet = this.#shut()
      .catch((thrown) => this.#hands.say('error', `the entries were not deleted: ${messageOf(thrown)}`))
      .then(() => this.#reset());
    this.#fencing = this.#atMost(CUTTING, quiet)
      .then(this.#hands.fenceDown)
      .then(() => {
        this.#fencing = null;
        if (this.#deadline === null) this.#hands.mark(null);
      });
    await quiet;
  }

  #reset(): Promise<void> {
    return this.#atMost(CUTTING, this.#hands.cut());
  }

  #atMost(seconds: number, work: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const forget = this.#hands.after(seconds, resolve);
      void work.then(() => {
        forget();
        resolve();
      });
    });
  }

  async #renew(until: number): Promise<Reply> {
    const now = this.#hands.now();
    if (until - now > this.#limit + SLACK) {
      this.#hands.say(
        'error',
        `refused a deadline ${(until - now).toFixed(2)} s ahead; the longest is ${this.#limit} s`,
      );
      return 'refused: too far ahead';
    }
    if (this.#fencing !== null) return 'closed';
    const seconds = timeoutFor(until, now);
    if (seconds < 1) {
      await this.#shut();
      return 'closed';
    }
    const opening = this.#deadline === null;
    if (opening) await this.#hands.rules();
    this.#deadline = until;
    this.#hands.mark(until);
    try {
      // The rules may have taken a while.
      const left = opening ? timeoutFor(until, this.#hands.now()) : seconds;
      if (left < 1 || !(await this.#openFor(until, left))) return 'closed';
      if (opening) {
        this.#hands.say('info', 'client ports open');
        this.#hands.opened();
      }
      return 'ok';
    } catch (thrown) {
      // It never was open: there is nothing to end at a deadline.
      if (opening) await this.#close();
      throw thrown;
    } finally {
      this.#schedule();
    }
  }

  async #close(): Promise<Reply> {
    const was = this.#deadline;
    this.#deadline = null;
    this.#cancel();
    await this.#shut();
    if (was !== null) {
      // Answered after it: whoever asks ends the server next, and then nobody speaks for it.
      await this.#reset();
      this.#hands.say('info', 'client ports shut');
      this.#hands.closed();
    }
    if (this.#fencing === null) this.#hands.mark(null);
    return 'closed';
  }

  async #answered(work: () => Promise<Reply>): Promise<Reply> {
    try {
      return await this.#inTurn(work);
    } catch (thrown) {
      this.#hands.say('error', messageOf(thrown));
      return `failed: ${messageOf(thrown).replaceAll(/\s+/g, ' ').slice(0, 200)}`;
    }
  }
}

export type Gate = ReturnType<typeof createGate>;
