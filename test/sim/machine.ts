/**
 * One VM: its power, its clock, and whether the hypervisor lets it run. Everything local to it happens
 * through `later`.
 */
import type { Random } from './random.ts';
import type { Scheduler, Timer } from './scheduler.ts';

export class Machine {
  readonly name: string;
  readonly index: number;
  /** Counts power cycles; what an earlier boot had scheduled never happens. */
  boot = 1;
  on = true;
  paused = false;
  /** Own clock per true time. */
  rate: number;
  private offset: number;
  /** When the clock stood still, and for how long it did before. */
  private stoppedAt: number | null = null;
  private parked: (() => void)[] = [];
  private scheduler: Scheduler;

  constructor(name: string, index: number, scheduler: Scheduler, random: Random, drift: number) {
    this.name = name;
    this.index = index;
    this.scheduler = scheduler;
    this.rate = 1 + random.range(-drift, drift);
    this.offset = random.range(1000, 1e6);
  }

  /** The monotonic clock, milliseconds. */
  now(): number {
    const at = this.stoppedAt ?? this.scheduler.now;
    return this.offset + at * this.rate;
  }

  /**
   * Run in `ms` of true time: dropped when the power was cut in between, late when the machine is paused
   * then.
   */
  later(ms: number, run: () => void): Timer {
    const boot = this.boot;
    return this.scheduler.after(ms, () => {
      if (this.boot !== boot) return;
      if (this.paused) this.parked.push(run);
      else run();
    });
  }

  /** Now, or when the machine goes on; never when its power is cut before. */
  soon(run: () => void): void {
    if (!this.on) return;
    if (this.paused) this.parked.push(run);
    else run();
  }

  /** As `later`, but in milliseconds of the own clock. */
  laterOwn(ms: number, run: () => void): Timer {
    return this.later(ms / this.rate, run);
  }

  /** Does its clock stand still? */
  get blind(): boolean {
    return this.stoppedAt !== null;
  }

  /** `clockStops`: the guest does not notice that time went by. */
  pause(clockStops: boolean): void {
    if (!this.on || this.paused) return;
    this.paused = true;
    if (clockStops) this.stoppedAt = this.scheduler.now;
  }

  thaw(): void {
    if (!this.paused) return;
    this.paused = false;
    if (this.stoppedAt !== null) {
      this.offset -= (this.scheduler.now - this.stoppedAt) * this.rate;
      this.stoppedAt = null;
    }
    const parked = this.parked;
    this.parked = [];
    for (const run of parked) run();
  }

  cutPower(): void {
    this.thawSilently();
    this.boot += 1;
    this.on = false;
  }

  powerOn(random: Random): void {
    this.on = true;
    this.offset = random.range(1000, 1e6) - this.scheduler.now * this.rate;
  }

  private thawSilently(): void {
    this.parked = [];
    this.paused = false;
    this.stoppedAt = null;
  }
}
