/**
 * Several processes of one node side by side, on the same virtual time: what the agent's runtime does for
 * real.
 */
import { receive } from '../../agent/core/lease.ts';
import type { NodeContext } from '../../agent/core/node.ts';
import type { Call, LockName, Procedure } from '../../agent/core/ports.ts';
import { Stage } from './stage.ts';

type Running = { procedure: Procedure<unknown>; napping: (() => void) | null };

export class Loop extends Stage {
  private due: { at: number; order: number; run: () => void }[] = [];
  private order_ = 0;
  private processes: Running[] = [];
  private waiting = new Map<LockName, (() => void)[]>();

  start(procedure: Procedure<unknown>): void {
    const running: Running = { procedure, napping: null };
    this.processes.push(running);
    this.at(this.now, () => this.step(running, undefined));
  }

  at(time: number, run: () => void): void {
    this.order_ += 1;
    this.due.push({ at: time, order: this.order_, run });
  }

  /** Let `ms` pass. */
  pass(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      this.due.sort((a, b) => a.at - b.at || a.order - b.order);
      const next = this.due[0];
      if (next === undefined || next.at > until) break;
      this.due.shift();
      this.now = Math.max(this.now, next.at);
      next.run();
    }
    this.now = until;
  }

  override wake(): void {
    super.wake();
    for (const { napping } of this.processes) napping?.();
  }

  override unlock(lock: LockName): void {
    super.unlock(lock);
    const next = this.waiting.get(lock)?.shift();
    if (next !== undefined) this.at(this.now, next);
  }

  /** The store's content reaches the node now, as by its watcher. */
  news(n: NodeContext): void {
    receive(n, this.store.view());
  }

  private step(running: Running, answer: unknown): void {
    const next = running.procedure.next(answer);
    if (!next.done) this.carryOut(running, next.value);
  }

  private carryOut(running: Running, call: Call): void {
    const name = this.record(call);
    if (name === 'time.lock') this.take(running, call.args[0] as LockName);
    else if (name === 'time.sleep')
      this.at(this.now + (call.args[0] as number), () => this.step(running, undefined));
    else if (name === 'time.nap') this.nap(running, call.args[0] as number);
    else this.at(this.now + this.latency(name), () => this.step(running, this.reply(name, call)));
  }

  private nap(running: Running, ms: number): void {
    const end = () => {
      if (running.napping !== end) return;
      running.napping = null;
      this.step(running, undefined);
    };
    running.napping = end;
    this.at(this.now + ms, end);
  }

  private take(running: Running, lock: LockName): void {
    const granted = () => {
      if (this.locks.has(lock)) this.waiting.set(lock, [granted, ...(this.waiting.get(lock) ?? [])]);
      else {
        this.locks.add(lock);
        this.step(running, undefined);
      }
    };
    if (this.locks.has(lock)) this.waiting.set(lock, [...(this.waiting.get(lock) ?? []), granted]);
    else granted();
  }
}
