/**
 * One life of one agent: runs the core's procedures against the node's modelled ports. Each yielded call is
 * handed to its port, and the answer resumes the procedure at a later virtual time. Between two calls
 * everything is atomic.
 */
import type { NodeContext } from '../../agent/core/node.ts';
import type { Call, LockName, Ports, Procedure } from '../../agent/core/ports.ts';
import type { Machine } from './machine.ts';
import type { Timer } from './scheduler.ts';

export type Reply = (answer: unknown) => void;
/**
 * How a modelled port takes calls: the arguments as the core gives them, the answer through `reply`, later.
 */
export type Handlers<P extends keyof Ports> = {
  [M in keyof Ports[P]]: (
    agent: Agent,
    reply: Reply,
    args: Ports[P][M] extends (...args: infer A) => unknown ? A : never,
  ) => unknown;
};
export type PortTable = { [P in Exclude<keyof Ports, 'time'>]: Handlers<P> };
type AnyHandler = (agent: Agent, reply: Reply, args: unknown) => unknown;

/**
 * What a tap wants done with a call: carry it out, carry out another one, or answer it without touching the
 * world.
 */
export type Verdict = { kind: 'pass' } | { kind: 'change'; call: Call } | { kind: 'answer'; answer: unknown };
/** Sees every call before it is carried out; may freeze or kill the agent. */
export type Tap = (agent: Agent, strand: Strand, call: Call) => Verdict | null;

export class Strand {
  readonly name: string;
  // biome-ignore lint/suspicious/noExplicitAny: the answer's type belongs to the call
  readonly generator: Generator<Call, any, any>;
  readonly done: (result: unknown) => void;
  /** Number of the call that is waited for; an answer to another one is ignored. */
  step = 0;
  woken = false;
  nap: { timer: Timer; step: number } | null = null;

  // biome-ignore lint/suspicious/noExplicitAny: see above
  constructor(name: string, generator: Generator<Call, any, any>, done: (result: unknown) => void) {
    this.name = name;
    this.generator = generator;
    this.done = done;
  }
}

export class Agent {
  readonly machine: Machine;
  alive = true;
  frozen = false;
  context: NodeContext | null = null;
  private ports: PortTable;
  private taps: Tap[];
  private onThrow: (strand: Strand, error: unknown) => void;
  private strands = new Set<Strand>();
  private parked: (() => void)[] = [];
  private locks = new Map<LockName, { held: boolean; queue: (() => void)[] }>();

  constructor(
    machine: Machine,
    ports: PortTable,
    taps: Tap[],
    onThrow: (strand: Strand, error: unknown) => void,
  ) {
    this.machine = machine;
    this.ports = ports;
    this.taps = taps;
    this.onThrow = onThrow;
  }

  run<T>(name: string, procedure: Procedure<T>, done: (result: T) => void = () => undefined): void {
    const strand = new Strand(name, procedure, done as (result: unknown) => void);
    this.strands.add(strand);
    this.step(strand, undefined);
  }

  /** Killed: whatever it was doing stops between two calls; what it has already sent still takes effect. */
  kill(): void {
    this.alive = false;
    this.strands.clear();
    this.parked = [];
  }

  freeze(): void {
    this.frozen = true;
  }

  thaw(): void {
    if (!this.frozen) return;
    this.frozen = false;
    const parked = this.parked;
    this.parked = [];
    for (const run of parked)
      if (this.alive && !this.frozen) run();
      else if (this.alive) this.parked.push(run);
  }

  /**
   * Something this process does `ms` from now: never when it was killed meanwhile, late when it was frozen.
   */
  later(ms: number, run: () => void): Timer {
    return this.machine.later(ms, () => this.soon(run));
  }

  soon(run: () => void): void {
    if (!this.alive) return;
    if (this.frozen) this.parked.push(run);
    else run();
  }

  wake(): void {
    for (const strand of this.strands) {
      const nap = strand.nap;
      if (nap === null) strand.woken = true;
      else this.endNap(strand, nap.step);
    }
  }

  nap(strand: Strand, ms: number): void {
    const step = strand.step;
    if (strand.woken) {
      strand.woken = false;
      this.later(0, () => this.resume(strand, step, undefined));
      return;
    }
    const timer = this.machine.laterOwn(ms, () => this.soon(() => this.endNap(strand, step)));
    strand.nap = { timer, step };
  }

  lock(name: LockName, taken: () => void): void {
    let lock = this.locks.get(name);
    if (lock === undefined) {
      lock = { held: false, queue: [] };
      this.locks.set(name, lock);
    }
    if (lock.held) lock.queue.push(taken);
    else {
      lock.held = true;
      this.later(0, taken);
    }
  }

  unlock(name: LockName): void {
    const lock = this.locks.get(name);
    if (lock === undefined) return;
    const next = lock.queue.shift();
    if (next === undefined) lock.held = false;
    else this.later(0, next);
  }

  private endNap(strand: Strand, step: number): void {
    const nap = strand.nap;
    if (nap === null || nap.step !== step) return;
    strand.nap = null;
    nap.timer.run = null;
    // Never synchronously: whoever wakes is in the middle of something.
    this.later(0, () => this.resume(strand, step, undefined));
  }

  private resume(strand: Strand, step: number, answer: unknown): void {
    if (!this.alive || strand.step !== step) return;
    if (this.frozen) this.parked.push(() => this.resume(strand, step, answer));
    else this.step(strand, answer);
  }

  private step(strand: Strand, answer: unknown): void {
    let next: IteratorResult<Call, unknown>;
    try {
      next = strand.generator.next(answer);
    } catch (error) {
      this.onThrow(strand, error);
      return;
    }
    if (!this.alive) return;
    if (next.done) {
      this.strands.delete(strand);
      strand.done(next.value);
      return;
    }
    strand.step += 1;
    this.dispatch(strand, next.value);
  }

  private dispatch(strand: Strand, asked: Call): void {
    const step = strand.step;
    let call = asked;
    for (const tap of this.taps) {
      const verdict = tap(this, strand, call);
      if (!this.alive) return;
      if (verdict === null || verdict.kind === 'pass') continue;
      if (verdict.kind === 'change') call = verdict.call;
      else {
        this.later(1, () => this.resume(strand, step, verdict.answer));
        return;
      }
    }
    if (call.port === 'time') {
      if (call.method === 'nap') this.nap(strand, call.args[0]);
      else if (call.method === 'sleep') {
        this.machine.laterOwn(call.args[0], () => this.resume(strand, step, undefined));
      } else this.lock(call.args[0], () => this.resume(strand, step, undefined));
      return;
    }
    const handler = (this.ports[call.port] as unknown as Record<string, AnyHandler>)[call.method];
    if (handler === undefined) throw new Error(`the model has no ${call.port}.${call.method}`);
    handler(this, (result) => this.resume(strand, step, result), call.args);
  }
}
