/** check-runner: when each check runs, what its result counts for, and who is told. */
import type { CheckName, CheckSettings } from '../config/checks.ts';
import type { CheckSummary } from '../core/ports.ts';
import { explain } from '../errors.ts';
import type { Logger } from '../log/log.ts';
import type { Clock } from '../platform/clock.ts';
import { type Entry, newEntry, nextDue, type Running, record, type Status, statusOf } from './entry.ts';
import { type Check, type CheckResult, fail, type NodeRole } from './port.ts';
import { isWeak } from './tally.ts';
import type { Timers } from './timers.ts';

export interface RunnerOptions {
  /** With its settings and the time limit of one run, ms. */
  readonly checks: readonly {
    readonly check: Check;
    readonly settings: CheckSettings;
    readonly limit: number;
  }[];
  /** False: a thrown error counts only once the TTL has passed since the last good result. */
  readonly failFast: boolean;
  readonly role: () => NodeRole;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Logger;
}

/** One check as it stands, for those who pass results on. */
export interface CheckReport {
  readonly name: CheckName;
  readonly status: Status;
  readonly output: string;
  /** When the last result came, by the runner's clock. */
  readonly at: number;
}

/** Checks due within this time of each other run together, ms: fewer wake-ups. */
const TOGETHER = 50;

export class Runner {
  readonly #o: RunnerOptions;
  readonly #entries: Map<CheckName, Entry>;
  readonly #listeners: (() => void)[] = [];
  #started = false;
  #disarm: (() => void) | null = null;
  #armedFor = Number.POSITIVE_INFINITY;
  #summary: CheckSummary | null = null;
  #changed = false;

  constructor(options: RunnerOptions) {
    this.#o = options;
    const now = options.clock.now();
    this.#entries = new Map(
      options.checks.map(({ check, settings, limit }) => [check.name, newEntry(check, settings, limit, now)]),
    );
  }

  /** Every check runs at once, then in its rhythm. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    const now = this.#o.clock.now();
    for (const entry of this.#entries.values()) {
      entry.dueAt = now;
      entry.lastGood = now;
    }
    this.#tick();
  }

  /** Ends every run; nothing is counted or called afterwards. A later start goes on with what was counted. */
  stop(): void {
    this.#started = false;
    this.#disarm?.();
    this.#disarm = null;
    for (const { check, running } of this.#entries.values()) {
      if (running !== null) running.overdue = true;
      running?.abort.abort();
      check.close?.();
    }
  }

  /**
   * Runs `name` now; once more afterwards if it is running. Unknown names are ignored: not every node has
   * every check.
   */
  poke(name: CheckName): void {
    const entry = this.#entries.get(name);
    if (entry === undefined || !this.#started) return;
    if (entry.running !== null) entry.again = true;
    else {
      entry.dueAt = this.#o.clock.now();
      this.#tick();
    }
  }

  /** Called, synchronously, when a check's status or its place in the summary has changed. */
  onChange(callback: () => void): void {
    this.#listeners.push(callback);
  }

  /** Checks without a result yet are in none of its parts. */
  summary(): CheckSummary {
    if (this.#summary !== null) return this.#summary;
    const known = [...this.#entries.values()].filter((entry) => entry.last !== null);
    const critical = known.filter((entry) => entry.settings.critical);
    this.#summary = {
      failing: critical.filter((entry) => entry.tally.state === 'failing').map((entry) => entry.check.name),
      weak: critical.filter((entry) => isWeak(entry.tally)).map((entry) => entry.check.name),
      all: Object.fromEntries(
        known.map((entry) => [
          entry.check.name,
          {
            ok: entry.tally.state !== 'failing',
            output: entry.last?.output ?? '',
            ...(statusOf(entry) === 'warning' ? { warning: true } : {}),
          },
        ]),
      ),
    };
    return this.#summary;
  }

  reports(): CheckReport[] {
    return [...this.#entries.values()].flatMap((entry) => {
      const status = statusOf(entry);
      if (status === null || entry.last === null) return [];
      return [{ name: entry.check.name, status, output: entry.last.output, at: entry.last.at }];
    });
  }

  #tick(): void {
    if (!this.#started) return;
    this.#disarm?.();
    this.#disarm = null;
    const now = this.#o.clock.now();
    for (const entry of this.#entries.values()) {
      if (entry.dueAt > now + TOGETHER) continue;
      if (entry.running === null) this.#launch(entry, now);
      else if (entry.running.overdue) this.#stillRunning(entry, entry.running, now);
      // Within its limit: its end, or the limit, sets the next time.
      else entry.dueAt = Number.POSITIVE_INFINITY;
    }
    this.#arm();
    this.#notify();
  }

  #arm(): void {
    if (!this.#started) return;
    const next = Math.min(...[...this.#entries.values()].map((entry) => entry.dueAt));
    if (this.#disarm !== null && next >= this.#armedFor) return;
    this.#disarm?.();
    this.#disarm = null;
    if (next === Number.POSITIVE_INFINITY) return;
    this.#armedFor = next;
    this.#disarm = this.#o.timers.after(next - this.#o.clock.now(), () => {
      this.#disarm = null;
      this.#tick();
    });
  }

  #launch(entry: Entry, now: number): void {
    const run: Running = {
      startedAt: now,
      role: this.#o.role(),
      abort: new AbortController(),
      overdue: false,
    };
    entry.running = run;
    entry.again = false;
    entry.dueAt = nextDue(entry, now);
    const callOff = this.#o.timers.after(entry.limit, () => this.#late(entry, run));
    const ended = (result: CheckResult, thrown: boolean) => {
      callOff();
      this.#ended(entry, run, result, thrown);
    };
    entry.check.run({ ms: entry.limit, signal: run.abort.signal }).then(
      (result) => ended(result, false),
      (error: unknown) => ended(fail(explain(error)), true),
    );
  }

  #ended(entry: Entry, run: Running, result: CheckResult, thrown: boolean): void {
    const now = this.#o.clock.now();
    const asked = entry.again;
    entry.running = null;
    entry.again = false;
    // A result for a role that was left meanwhile answers a question nobody asks any more.
    const stale = entry.check.ofRole === true && this.#o.role() !== run.role;
    const early = thrown && !this.#o.failFast && now - entry.lastGood <= entry.settings.ttl;
    if (this.#started && !run.overdue && !stale && !early) this.#count(entry, run, result, now);
    entry.dueAt = asked || stale ? now : Math.max(now, nextDue(entry, run.startedAt));
    if (asked || stale) this.#tick();
    else this.#arm();
    this.#notify();
  }

  /** The limit of a run has passed. */
  #late(entry: Entry, run: Running): void {
    const now = this.#o.clock.now();
    run.overdue = true;
    // A limit noticed this late means that the agent itself stood still: the run says nothing about what it
    // asked.
    const stoodStill = now - run.startedAt > 2 * entry.limit + 1000;
    if (!stoodStill) this.#countLate(entry, run, now);
    entry.dueAt = stoodStill ? nextDue(entry, now) : Math.max(now, nextDue(entry, run.startedAt));
    this.#arm();
    run.abort.abort();
    this.#notify();
  }

  /** Past its limit, aborted, and still no end: as good as another failed run. */
  #stillRunning(entry: Entry, run: Running, now: number): void {
    this.#countLate(entry, run, now);
    entry.dueAt = nextDue(entry, now);
  }

  #countLate(entry: Entry, run: Running, now: number): void {
    this.#count(entry, run, fail(`did not finish within ${entry.limit} ms`), now);
  }

  #count(entry: Entry, { role }: Running, result: CheckResult, now: number): void {
    const before = { status: statusOf(entry), tally: entry.tally };
    record(entry, role, result, now);
    this.#summary = null;
    const { tally, check } = entry;
    if (
      before.status === statusOf(entry) &&
      before.tally.state === tally.state &&
      isWeak(before.tally) === isWeak(tally)
    )
      return;
    this.#changed = true;
    if (before.tally.state === tally.state) return;
    if (tally.state === 'failing') this.#o.log.warn(`${check.name} fails: ${result.output}`);
    else if (before.tally.state === 'failing')
      this.#o.log.info(`${check.name} passes again: ${result.output}`);
  }

  /** Last of all: a listener may poke. */
  #notify(): void {
    if (!this.#changed || !this.#started) return;
    this.#changed = false;
    for (const listener of this.#listeners) listener();
  }
}
