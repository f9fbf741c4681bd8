/**
 * Virtual time. Events run in order of their time, and in order of their scheduling where times are equal, so
 * a run depends on nothing but the seed. No promise and no real timer is involved.
 */
export type Timer = { at: number; order: number; run: (() => void) | null };

export class Scheduler {
  /** True time, milliseconds since the world began. */
  now = 0;
  /** Events run so far: the measure of a run's cost. */
  ran = 0;
  private order = 0;
  private heap: Timer[] = [];

  after(ms: number, run: () => void): Timer {
    this.order += 1;
    const timer: Timer = { at: this.now + Math.max(ms, 0), order: this.order, run };
    this.push(timer);
    return timer;
  }

  /** A cancelled timer stays in the heap until its time and then does nothing. */
  cancel(timer: Timer | null): void {
    if (timer !== null) timer.run = null;
  }

  /** Run every event up to and including `until`; stops early when `halt` turns true. */
  runUntil(until: number, halt: () => boolean): void {
    for (;;) {
      const top = this.heap[0];
      if (top === undefined || top.at > until) break;
      this.pop();
      const run = top.run;
      if (run === null) continue;
      top.run = null;
      this.now = top.at;
      this.ran += 1;
      run();
      if (halt()) return;
    }
    if (this.now < until) this.now = until;
  }

  get pending(): number {
    return this.heap.length;
  }

  private push(timer: Timer): void {
    const heap = this.heap;
    let i = heap.length;
    heap.push(timer);
    while (i > 0) {
      const up = (i - 1) >> 1;
      const parent = heap[up] as Timer;
      if (parent.at < timer.at || (parent.at === timer.at && parent.order < timer.order)) break;
      heap[i] = parent;
      i = up;
    }
    heap[i] = timer;
  }

  private pop(): void {
    const heap = this.heap;
    const last = heap.pop() as Timer;
    const size = heap.length;
    if (size === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= size) break;
      const left = heap[child] as Timer;
      if (child + 1 < size) {
        const right = heap[child + 1] as Timer;
        if (right.at < left.at || (right.at === left.at && right.order < left.order)) child += 1;
      }
      const smallest = heap[child] as Timer;
      if (last.at < smallest.at || (last.at === smallest.at && last.order < smallest.order)) break;
      heap[i] = smallest;
      i = child;
    }
    heap[i] = last;
  }
}
