/**
 * A stage for one procedure: answers its calls from a script on virtual time, and keeps every call in order.
 * Consul is a small store with real compare-and-set; everything else answers "done" unless the test says
 * otherwise.
 */
import { receive } from '../../agent/core/lease.ts';
import type { LogEvent, NodeContext } from '../../agent/core/node.ts';
import {
  type Call,
  type LockName,
  NO_FILES,
  type Ports,
  type Procedure,
  type TxnOp,
  type TxnResult,
} from '../../agent/core/ports.ts';
import { pgFacts } from './build.ts';
import { Store } from './store.ts';

export type Name = { [P in keyof Ports]: `${P}.${keyof Ports[P] & string}` }[keyof Ports];
// biome-ignore lint/suspicious/noExplicitAny: a script answers calls of every type
type Reply = (...args: any[]) => unknown;

export class Stage {
  now = 1000;
  store = new Store();
  calls: Call[] = [];
  /** Calls and unlocks in order, as text: 'pg.promote', 'txn next_master sync', 'unlock lease'. */
  trace: string[] = [];
  logs: LogEvent[] = [];
  wakes = 0;
  locks = new Set<LockName>();
  private standing = new Map<string, Reply>();
  private queued = new Map<string, Reply[]>();
  private duration = new Map<string, number>();

  /** What `name` answers from now on. */
  on(name: Name, reply: Reply): this {
    this.standing.set(name, reply);
    return this;
  }

  /** What `name` answers the next time only. */
  once(name: Name, reply: Reply): this {
    this.queued.set(name, [...(this.queued.get(name) ?? []), reply]);
    return this;
  }

  /** How long `name` takes, ms; 1 unless said. */
  takes(name: Name, ms: number): this {
    this.duration.set(name, ms);
    return this;
  }

  wake(): void {
    this.wakes += 1;
  }

  unlock(lock: LockName): void {
    this.locks.delete(lock);
    this.trace.push(`unlock ${lock}`);
  }

  /** The node takes in what the store holds now, as its watcher would. */
  sees(n: NodeContext): this {
    receive(n, this.store.view());
    return this;
  }

  run<T>(procedure: Procedure<T>): T {
    let step = procedure.next();
    for (let i = 0; !step.done; i += 1) {
      if (i > 20_000) throw new Error(`no end in sight: ${this.trace.slice(-5).join(', ')}`);
      step = procedure.next(this.answer(step.value));
    }
    if (this.locks.size > 0) throw new Error(`lock kept: ${[...this.locks].join(', ')}`);
    return step.value;
  }

  /** Run up to the first call of `name` and drop the procedure there, as a crash would. */
  crashAt(procedure: Procedure<unknown>, name: Name): void {
    let step = procedure.next();
    while (!step.done && `${step.value.port}.${step.value.method}` !== name)
      step = procedure.next(this.answer(step.value));
    if (step.done) throw new Error(`${name} was never called`);
  }

  /** Those entries of the trace that match, in order. */
  order(...patterns: RegExp[]): string[] {
    return this.trace.filter((entry) => patterns.some((p) => p.test(entry)));
  }

  /** Arguments of each call of `name`. */
  args(name: Name): unknown[][] {
    return this.calls.filter((c) => `${c.port}.${c.method}` === name).map((c) => [...c.args]);
  }

  answer(step: Call): unknown {
    const name = this.record(step);
    if (name === 'time.sleep' || name === 'time.nap') this.now += step.args[0] as number;
    else if (name !== 'time.lock') this.now += this.latency(name);
    return this.reply(name, step);
  }

  record(step: Call): Name {
    const name = `${step.port}.${step.method}` as Name;
    this.calls.push(step);
    this.trace.push(name === 'consul.txn' ? `txn ${keys(step.args[0] as TxnOp[])}` : name);
    return name;
  }

  latency(name: Name): number {
    return this.duration.get(name) ?? 1;
  }

  reply(name: Name, step: Call): unknown {
    const reply = this.queued.get(name)?.shift() ?? this.standing.get(name);
    return reply === undefined ? this.usual(name, step.args) : reply(...(step.args as unknown[]));
  }

  private usual(name: Name, args: readonly unknown[]): unknown {
    switch (name) {
      case 'consul.txn':
        return this.store.txn(args[0] as TxnOp[]);
      case 'consul.read':
      case 'consul.watch':
        return this.store.view();
      case 'time.lock':
        if (this.locks.has(args[0] as LockName)) throw new Error(`${args[0]} is taken already: a deadlock`);
        this.locks.add(args[0] as LockName);
        return undefined;
      case 'pg.facts':
        return pgFacts();
      case 'pg.position':
        return pgFacts().position;
      case 'pg.history':
        return [{ tli: 1, lsn: 500n }];
      case 'pg.replication':
        return { insert: 1000n, timeline: 3, senders: [] };
      case 'pg.stop':
        return { kind: 'stopped', clean: args[0] === 'fast', checkpoint: 990n, timeline: 3 };
      case 'services.facts':
        return { running: [], missing: [], missingAlways: [] };
      case 'files.facts':
        return NO_FILES;
      case 'peers.state':
        return null;
      case 'peers.votes':
        return {};
      case 'peers.failsafe':
        return [];
      default:
        return { kind: 'done' };
    }
  }

  // Outcomes of a transaction that a script can choose.

  /** Committed, and the reply lost. */
  landedUnknown = (ops: TxnOp[]): TxnResult => {
    this.store.txn(ops);
    return { kind: 'unknown' };
  };
  /** Not committed (yet), and no reply. `late()` lets it arrive after all. */
  lostUnknown = (ops: TxnOp[]): TxnResult => {
    this.late = () => this.store.txn(ops);
    return { kind: 'unknown' };
  };
  late: () => TxnResult = () => ({ kind: 'conflict' });
}

function keys(ops: TxnOp[]): string {
  return ops.map((op) => (op.verb === 'check-index' ? `check:${op.key}` : op.key)).join(' ');
}
