/**
 * One modelled PostgreSQL: a data directory, its configuration files, and the processes while there are any.
 * What was flushed survives everything; the processes, waiting commits and connections do not.
 */
import type { SyncList } from '../../agent/core/postgres.ts';
import { type Branch, describe, type Forest, RECORD } from './branch.ts';
import type { Link } from './link.ts';
import type { Machine } from './machine.ts';
import type { Random } from './random.ts';

export type Pending = { lsn: number; session: number };

export type Proc = {
  role: 'primary' | 'standby';
  accepting: boolean;
  /** Startup has replayed all that is on disk. */
  settled: boolean;
  startedAt: number;
  promoting: boolean;
  receiver: Link | null;
  senders: Link[];
  /** The list backends go by; while a change is not effective yet, some still go by `old`. */
  list: SyncList;
  old: { list: SyncList } | null;
  /** Commits that wait for confirmation, oldest first. */
  pending: Pending[];
  /** Confirmed, but a firewall that closed by itself holds the answer back: delivered when it opens again. */
  heldBack: number;
  connecting: boolean;
  /** Killed, but in a sleep that ends only with the hang. */
  doomed: boolean;
  /** Replay stands still until then, at this position. */
  holdUntil: number;
  heldAt: number;
};

export type ServerEvents = {
  /** A server's processes are gone, however that came. */
  down(server: Server): void;
  /** A server accepts connections (again), or changed what it is. */
  ready(server: Server): void;
  acknowledged(server: Server, lsn: number): void;
  /** May the answers to clients get out right now? */
  open(server: Server): boolean;
  foreign(server: Server, upstream: Server): void;
  note(server: Server, text: string): void;
};

export class Server {
  readonly machine: Machine;
  readonly forest: Forest;
  readonly random: Random;
  readonly events: ServerEvents;
  data: 'ok' | 'empty' | 'broken' = 'ok';
  branch: Branch;
  flushed: number;
  /** Timeline numbers that are taken in pg_wal though nobody's history goes through them. */
  reserved = 1;
  standbySignal = false;
  systemId: string;
  upstream: string | null = null;
  list: SyncList = null;
  identity = '';
  proc: Proc | null = null;
  /** A stopped postmaster refuses new connections while old ones go on; hung storage lets nothing through. */
  hung: 'no' | 'postmaster' | 'storage' = 'no';
  unstartable = false;
  /** True time at which it last received anything. */
  receivedAt = 0;
  rebuilding = false;
  /** Ends the copy that runs. */
  cancelCopy: () => void = () => undefined;

  constructor(
    machine: Machine,
    forest: Forest,
    random: Random,
    events: ServerEvents,
    branch: Branch,
    systemId: string,
  ) {
    this.machine = machine;
    this.forest = forest;
    this.random = random;
    this.events = events;
    this.branch = branch;
    this.flushed = branch.end;
    this.systemId = systemId;
  }

  get name(): string {
    return this.machine.name;
  }

  /** Are its processes running and getting CPU? */
  get works(): boolean {
    return this.proc !== null && !this.machine.paused && this.hung !== 'storage';
  }

  get writable(): boolean {
    return this.proc !== null && this.proc.role === 'primary' && this.proc.accepting;
  }

  replayed(now: number): number {
    const proc = this.proc;
    return proc !== null && proc.role === 'standby' && now < proc.holdUntil
      ? Math.min(proc.heldAt, this.flushed)
      : this.flushed;
  }

  /**
   * Fork the processes. `ready` is called once they accept connections. Nothing is called when they die
   * before.
   */
  start(role: 'primary' | 'standby', recovery: number, replay: number, now: number, ready: () => void): void {
    const proc: Proc = {
      role,
      accepting: false,
      settled: false,
      startedAt: now,
      promoting: false,
      receiver: null,
      senders: [],
      list: this.list,
      old: null,
      pending: [],
      heldBack: 0,
      connecting: false,
      doomed: false,
      holdUntil: Number.NEGATIVE_INFINITY,
      heldAt: this.flushed,
    };
    this.proc = proc;
    this.events.note(this, `starts as ${role} on ${describe(this.branch, this.flushed)}`);
    this.machine.later(recovery, () => {
      if (this.proc !== proc) return;
      if (role === 'primary') this.beginWriting();
      proc.list = this.list;
      proc.accepting = true;
      if (role === 'primary') proc.settled = true;
      this.events.ready(this);
      ready();
    });
    if (role === 'standby') {
      this.machine.later(recovery + replay, () => {
        if (this.proc !== proc || proc.promoting) return;
        proc.settled = true;
        this.events.ready(this);
      });
    }
  }

  /**
   * Crash recovery ended: a checkpoint is written on the branch, which becomes another one if somebody else
   * wrote on it.
   */
  private beginWriting(): void {
    if (this.branch.writer !== this.name || this.branch.end !== this.flushed) {
      this.branch = this.forest.sameTimeline(this.branch, this.flushed, this.name);
    }
    this.append(RECORD);
  }

  append(bytes: number): number {
    this.branch.end += bytes;
    this.flushed = this.branch.end;
    for (const link of this.proc?.senders ?? []) link.pump();
    return this.flushed;
  }

  /** The promotion itself, at its end. */
  becomePrimary(): void {
    const proc = this.proc;
    if (proc === null) return;
    const tli = Math.max(this.branch.tli, this.reserved) + 1;
    proc.receiver?.dropAtReceiver();
    this.branch = this.forest.promote(this.branch, this.flushed, tli, this.name);
    this.reserved = tli;
    this.standbySignal = false;
    proc.role = 'primary';
    proc.promoting = false;
    proc.settled = true;
    proc.list = this.list;
    proc.old = null;
    this.append(RECORD);
    this.events.note(this, `promoted: ${describe(this.branch, this.flushed)}`);
    this.events.ready(this);
  }

  /** All processes gone at once. Whether peers notice depends on the network. */
  die(why: string): void {
    const proc = this.proc;
    if (proc === null) return;
    this.proc = null;
    this.hung = 'no';
    this.events.note(this, `PostgreSQL gone: ${why}`);
    proc.receiver?.dropAtReceiver();
    for (const link of [...proc.senders]) link.dropAtSender();
    this.events.down(this);
  }

  /** A client commits. Returns false when its session would have to wait for one before it. */
  commit(bytes: number, session: number): boolean {
    const proc = this.proc;
    if (proc === null || proc.pending.length >= 12) return false;
    const lsn = this.append(bytes);
    this.branch.lastCommit = lsn;
    proc.pending.push({ lsn, session });
    this.release();
    return true;
  }

  /** Let go of commits that enough standbys have flushed. */
  release(): void {
    const proc = this.proc;
    if (proc === null || proc.pending.length === 0 || !this.works) return;
    const upTo = Math.max(this.confirmed(proc.list), proc.old === null ? 0 : this.confirmed(proc.old.list));
    let last = 0;
    while (proc.pending.length > 0 && (proc.pending[0] as Pending).lsn <= upTo)
      last = (proc.pending.shift() as Pending).lsn;
    if (last === 0) return;
    if (this.events.open(this)) this.events.acknowledged(this, last);
    else proc.heldBack = Math.max(proc.heldBack, last);
  }

  /** Clients terminated: what waits is answered with an error or not at all, which is no acknowledgement. */
  terminateClients(): void {
    if (this.proc === null) return;
    this.proc.pending = [];
    this.proc.heldBack = 0;
  }

  /** How far the list counts as flushed. */
  confirmed(list: SyncList): number {
    if (list === null) return this.flushed;
    const flushes: number[] = [];
    for (const link of this.proc?.senders ?? []) {
      if (link.flush !== null && list.names.includes(link.name)) flushes.push(link.flush);
    }
    if (flushes.length < list.k) return 0;
    flushes.sort((a, b) => b - a);
    return flushes[list.k - 1] ?? 0;
  }
}
