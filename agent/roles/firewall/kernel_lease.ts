/**
 * The agent's end of the kernel lease: says until when client ports may stay open. The helper's root process
 * does it.
 */
import type { Outcome } from '../../core/postgres.ts';
import { boottime } from '../../platform/boottime.ts';
import { type HelperLink, helperLink } from './helper_link.ts';

export interface KernelLease {
  /**
   * Client ports stay open until `untilMs` (on this process' monotonic clock) at the latest. Done: they are
   * open in the kernel. A helper that is being restarted is waited for, `ms` at most; and told again by
   * itself when the connection breaks.
   */
  renew(untilMs: number, ms?: number): Promise<Outcome>;
  /**
   * As `renew`, but opens nothing: for a process that does not know yet whether what its predecessor opened
   * is open. Failed also where the helper is an older one, which knows no such order.
   */
  keep(untilMs: number): Promise<Outcome>;
  /**
   * The cluster's deadline, ms: nothing is asked for that is further ahead, and the helper is told to believe
   * nothing that is.
   */
  limit(ms: number): void;
  /** Shuts them. Done: there is no entry in the kernel any more. */
  close(ms?: number): Promise<Outcome>;
  /**
   * As at a deadline: shut, and a server that may write is ended by systemd with the active-only services.
   */
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
/**
 * A helper that hung up on `limit` may be an older one, which knows no such order: it is not told again for
 * so long, ms.
 */
const OLDER = 60_000;
/**
 * What opens nothing waits so long for a helper that is being restarted as well: less than a retry period,
 * ms.
 */
const KEEPING = 400;
type Word = 'renew' | 'extend';
const TOO_FAR = 'refused: too far ahead';

const failed = (why: string): Outcome => ({ kind: 'failed', why: `kernel lease: ${why}` });
const DONE: Outcome = { kind: 'done' };

export const createKernelLease = (options: KernelLeaseOptions): KernelLease => new SocketLease(options);

class SocketLease implements KernelLease {
  readonly #longest: number;
  readonly #now: () => number;
  readonly #boottime: () => number;
  readonly #link: HelperLink;
  /** What the helper must know as long as it lasts. */
  #told = 0;
  /** In which word: what was not to open anything does not when it is said again. */
  #telling: Word = 'renew';
  /**
   * The cluster's deadline; what the helper was told of it on this connection; what it answered that is in
   * force.
   */
  #wished = Number.POSITIVE_INFINITY;
  #limited: number | null = null;
  #allowed = Number.POSITIVE_INFINITY;
  #lowered = false;
  #limiting = false;
  #olderUntil = Number.NEGATIVE_INFINITY;
  #nextPiece: ReturnType<typeof setTimeout> | undefined;

  constructor(options: KernelLeaseOptions) {
    this.#longest = options.longest ?? Number.POSITIVE_INFINITY;
    this.#now = options.now ?? (() => performance.now());
    this.#boottime = options.boottime ?? boottime;
    this.#link = helperLink({
      socketPath: options.socketPath,
      now: this.#now,
      lost: () => this.#lost(),
      hungUp: () => this.#tellAgain(),
    });
  }

  renew(untilMs: number, ms = DEADLINE): Promise<Outcome> {
    return this.#tell('renew', untilMs, ms);
  }

  keep(untilMs: number): Promise<Outcome> {
    return this.#tell('extend', untilMs, KEEPING);
  }

  limit(ms: number): void {
    this.#wished = ms;
  }

  close(ms = DEADLINE): Promise<Outcome> {
    return this.#shut('close\n', ms);
  }

  end(ms = DEADLINE): Promise<Outcome> {
    return this.#shut('end\n', ms);
  }

  dispose(): void {
    clearTimeout(this.#nextPiece);
    this.#link.dispose();
  }

  #lost(): void {
    this.#limited = null;
    if (this.#limiting) this.#olderUntil = this.#now() + OLDER;
    this.#limiting = false;
  }

  /** Its successor knows only what was written down; an unheard renewal of ours would pass for none. */
  #tellAgain(): void {
    if (this.#link.disposed || this.#told <= this.#now()) return;
    void this.#tell(this.#telling, this.#told, Math.min(this.#told - this.#now(), RESTART));
  }

  #furthest(): number {
    return Math.min(this.#longest, this.#wished, this.#allowed);
  }

  /** Goes ahead of a renewal on the same connection, so that it holds for that one already. */
  #tellLimit(ms: number): void {
    const want = Math.min(this.#wished, this.#longest);
    if (want === this.#limited || !Number.isFinite(want) || this.#now() < this.#olderUntil) return;
    if (want >= this.#longest && !this.#lowered) return;
    const seconds = (Math.floor(want / 10) / 100).toFixed(2);
    const asked = this.#link.ask(() => `limit ${seconds}\n`, ms);
    this.#limited = want;
    this.#limiting = true;
    this.#lowered = true;
    void asked.then((reply) => {
      this.#limiting = false;
      const found = /^limit (\d+\.\d\d)$/.exec(reply ?? '');
      this.#allowed = found ? Number(found[1]) * 1000 : Number.POSITIVE_INFINITY;
    });
  }

  /**
   * The helper is told the rest of the right in time, when it is further ahead than it may be told at once.
   */
  #tellOn(untilMs: number): void {
    clearTimeout(this.#nextPiece);
    if (untilMs - this.#now() <= this.#furthest() || this.#link.disposed) return;
    this.#nextPiece = setTimeout(() => {
      if (this.#told === untilMs && !this.#link.disposed) void this.#tell(this.#telling, untilMs, DEADLINE);
    }, this.#furthest() / 3);
    this.#nextPiece.unref?.();
  }

  async #tell(word: Word, untilMs: number, ms: number): Promise<Outcome> {
    this.#told = untilMs;
    this.#telling = word;
    this.#tellLimit(ms);
    // The clock that is shared is read first: whatever comes between makes the deadline earlier.
    const line = (): string => {
      const shared = this.#boottime();
      const deadline = Math.max(0, shared + Math.min(untilMs - this.#now(), this.#furthest()) / 1000);
      return `${word} ${(Math.floor(deadline * 100) / 100).toFixed(2)}\n`;
    };
    const wanted = () => this.#told === untilMs && this.#now() < untilMs;
    let reply = await this.#link.order(line, ms, wanted);
    if (reply === TOO_FAR && wanted()) {
      // A limit of the process before this one: it is told anew.
      this.#limited = null;
      this.#lowered = true;
      this.#tellLimit(ms);
      reply = await this.#link.order(line, ms, wanted);
    }
    if (wanted()) this.#tellOn(untilMs);
    if (reply === 'ok') return DONE;
    return failed(reply === null ? 'the helper does not answer' : reply);
  }

  async #shut(line: string, ms: number): Promise<Outcome> {
    this.#told = 0;
    clearTimeout(this.#nextPiece);
    const reply = await this.#link.order(
      () => line,
      ms,
      () => this.#told === 0,
    );
    if (reply === 'closed') return DONE;
    return failed(reply === null ? 'the helper does not answer' : reply);
  }
}
