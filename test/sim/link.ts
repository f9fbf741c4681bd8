/**
 * One streaming connection: a walsender on the upstream, a walreceiver on the standby. One chunk is under way
 * at a time; what is cut on the way waits until the network heals or one end gives up, each end on its own.
 */
import { contains, segment } from './branch.ts';
import type { Network } from './network.ts';
import type { Scheduler } from './scheduler.ts';
import type { Proc, Server } from './server.ts';

export type Wire = {
  scheduler: Scheduler;
  network: Network;
  /** wal_sender_timeout and wal_receiver_timeout, milliseconds. */
  timeout: number;
  /** Probability-free extra delay of replication alone, per standby. */
  lag: number[];
};

export class Link {
  readonly up: Server;
  readonly down: Server;
  readonly name: string;
  flush: number | null = null;
  /** How far the walsender has sent, whatever became of it. */
  sentTo = 0;
  private wire: Wire;
  private upProc: Proc;
  private downProc: Proc;
  private senderAlive = true;
  private receiverAlive = true;
  private busy = false;
  private sent = -1;
  private sentBranch = -1;
  /** A chunk or report that could not get through, to be tried again when the network changes. */
  private stuck: (() => void) | null = null;

  /**
   * `until`: the standby is ahead of where its timeline was left, and gets what lies before that, no more.
   */
  constructor(wire: Wire, up: Server, down: Server, until: number | null = null) {
    this.wire = wire;
    this.up = up;
    this.down = down;
    this.name = down.identity;
    this.upProc = up.proc as Proc;
    this.downProc = down.proc as Proc;
    this.upProc.senders.push(this);
    this.downProc.receiver = this;
    this.report(down.flushed, false);
    if (until === null) this.pump();
    else this.endSoon(until);
  }

  /** Nothing is left to send but what lies before the fork. */
  private endSoon(until: number): void {
    this.busy = true;
    this.sentTo = until;
    const path = this.wire.network.delay(this.up.machine.index, this.down.machine.index);
    this.wire.scheduler.after(path + this.up.random.skewed(1, 60), () =>
      this.up.machine.soon(() => this.dropAtSender()),
    );
  }

  get streaming(): boolean {
    return this.receiverAlive;
  }

  pump(): void {
    if (this.busy || !this.senderAlive || this.up.proc !== this.upProc) return;
    if (this.up.flushed === this.sent && this.up.branch.id === this.sentBranch) return;
    if (!this.up.works) return;
    this.busy = true;
    this.send();
  }

  /** Something changed in the network or an end woke up: go on. */
  retry(): void {
    const stuck = this.stuck;
    this.stuck = null;
    if (stuck !== null) stuck();
    else this.pump();
  }

  /**
   * The path broke while nothing was under way: keepalives go missing, and each end gives up in its own time.
   */
  silence(): void {
    if (this.stuck === null) this.stall(() => this.pump());
  }

  private send(): void {
    const { network, scheduler, lag } = this.wire;
    const from = this.up.machine.index;
    const to = this.down.machine.index;
    const branch = this.up.branch;
    const at = this.up.flushed;
    this.sent = at;
    this.sentTo = at;
    this.sentBranch = branch.id;
    scheduler.after(network.delay(from, to) + (lag[to] as number), () => {
      if (!this.senderAlive && !this.receiverAlive) return;
      if (!network.passes(from, to)) return this.stall(() => this.pumpAgain());
      this.down.machine.soon(() => {
        if (!this.receiverAlive || this.down.proc !== this.downProc) return;
        if (this.down.hung === 'storage') return this.stall(() => this.pumpAgain());
        this.down.branch = branch;
        this.down.flushed = at;
        this.down.receivedAt = scheduler.now;
        for (const link of this.downProc.senders) link.pump();
        this.report();
      });
    });
  }

  private pumpAgain(): void {
    this.sent = -1;
    this.busy = false;
    this.pump();
  }

  /**
   * `answers`: it acknowledges a chunk, so the next one may go; the first report of a connection does not.
   */
  private report(flushed = this.down.flushed, answers = true): void {
    const { network, scheduler } = this.wire;
    const from = this.down.machine.index;
    const to = this.up.machine.index;
    scheduler.after(network.delay(from, to), () => {
      if (!this.senderAlive) return;
      if (!network.passes(from, to)) return this.stall(() => this.report(flushed, answers));
      this.up.machine.soon(() => {
        if (!this.senderAlive || this.up.proc !== this.upProc) return;
        if (this.flush === null || flushed > this.flush) this.flush = flushed;
        if (answers) this.busy = false;
        this.up.release();
        this.pump();
      });
    });
  }

  private stall(again: () => void): void {
    if (this.stuck === null) {
      const { scheduler, timeout } = this.wire;
      scheduler.after(timeout, () => this.stuck !== null && this.up.machine.soon(() => this.dropAtSender()));
      scheduler.after(
        timeout,
        () => this.stuck !== null && this.down.machine.soon(() => this.dropAtReceiver()),
      );
    }
    this.stuck = again;
  }

  /** The walsender ends. The standby hears of it if it can. */
  dropAtSender(): void {
    if (!this.senderAlive) return;
    this.senderAlive = false;
    this.upProc.senders = this.upProc.senders.filter((l) => l !== this);
    this.tell(this.up.machine.index, this.down.machine.index, () => this.dropAtReceiver());
  }

  /** The walreceiver ends: nothing more is flushed through this connection. */
  dropAtReceiver(): void {
    if (!this.receiverAlive) return;
    this.receiverAlive = false;
    if (this.downProc.receiver === this) this.downProc.receiver = null;
    if (this.down.proc === this.downProc) this.down.events.ready(this.down);
    this.tell(this.down.machine.index, this.up.machine.index, () => this.dropAtSender());
  }

  private tell(from: number, to: number, drop: () => void): void {
    const { network, scheduler, timeout } = this.wire;
    const machine = from === this.up.machine.index ? this.down.machine : this.up.machine;
    scheduler.after(network.delay(from, to), () => {
      if (network.both(from, to)) machine.soon(drop);
      else scheduler.after(timeout, () => machine.soon(drop));
    });
  }
}

const SEGMENT = 16 * 1024 * 1024;

/**
 * A standby that is ahead of where its timeline was left is served all the same while both lie in one WAL
 * segment: up to there, and every 100 ms anew. Its walsender streams for a moment, and what it reports as
 * flushed is on a branch of its own (seen on PostgreSQL 15). Where it was left; null when it is not served.
 */
export function servedUpTo(up: Server, down: Server): number | null {
  if (up.branch.tli <= down.branch.tli) return null;
  const part = segment(up.branch, up.flushed, down.branch.tli);
  if (part === null || down.flushed <= part.end) return null;
  return Math.floor(part.end / SEGMENT) === Math.floor(down.flushed / SEGMENT) ? part.end : null;
}

/**
 * Why a standby's request to stream is refused, by the numbers PostgreSQL itself goes by; null when it is
 * served.
 */
export function refusal(up: Server, down: Server): string | null {
  if (up.branch.tli < down.branch.tli) return 'upstream is on an older timeline';
  const part = segment(up.branch, up.flushed, down.branch.tli);
  if (part === null) return 'timeline is not in the history of the upstream';
  if (down.flushed > part.end) return 'ahead of the upstream';
  // A number taken by nobody's history hides the newer timeline: rescanning finds the wrong one.
  if (down.branch.tli < up.branch.tli && down.reserved >= up.branch.tli)
    return 'a reserved timeline number hides the newer one';
  return null;
}

/** Does the standby really hold a part of the upstream's history, and not only the same numbers? */
export function sameHistory(up: Server, down: Server): boolean {
  return contains(up.branch, up.flushed, down.branch, down.flushed);
}
