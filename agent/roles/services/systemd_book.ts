/**
 * What this agent knows of its units: their state without asking systemd each time, and the end of their
 * processes.
 */
import { boottime } from '../../platform/boottime.ts';
import { type Clock, until } from '../../platform/clock.ts';
import { alive, readStat } from '../../platform/procfs.ts';
import type { ServiceExit, ServiceStatus, ServiceUnit } from './driver.ts';
import { pidWatch } from './pid_watch.ts';
import type { Shower, UnitFacts } from './systemd_show.ts';
import { exitCodeOfUnit, isDown, signalOfUnit, stateOf } from './systemd_state.ts';

/**
 * Milliseconds. A unit without processes, or without a main one, is asked about this seldom while nothing of
 * it changes.
 */
const ASK_AGAIN = 5_000;
/** Milliseconds: most units start and stop in a few, and each question costs a process. */
export const UNIT_PACE = { every: 10, longest: 100 };
/** How long an exit waits for systemd to say its code. */
const EXIT_CODE_WAIT = 500;

/** How a unit that systemd calls inactive, failed or activating is to be understood. */
export type Fate =
  /** Ended without having been asked to, as far as this agent saw: `inactive` is no `stopped` then. */
  | 'died'
  /** Stopped by this agent: the SIGKILL that it took is no failure. */
  | 'stopped'
  /** Waited for in vain: no `running`, though systemd still says `activating`. */
  | 'hangs';

interface Known {
  readonly status: ServiceStatus;
  readonly facts: UnitFacts;
  readonly startTime?: number;
  readonly at: number;
}

interface BookOptions {
  readonly shower: Shower;
  readonly processes: (cgroup: string) => number[];
  readonly clock: Clock;
  readonly watchEvery?: number | undefined;
  /** Has a stop been asked for? */
  readonly expected: (name: string) => boolean;
}

export const unitNameOf = (unit: ServiceUnit): string => unit.unit ?? `${unit.name}.service`;

export const unitBook = (parts: BookOptions) => new UnitBook(parts);

class UnitBook {
  readonly #parts: BookOptions;
  readonly #watch: ReturnType<typeof pidWatch>;
  readonly #watched = new Map<string, { readonly pid: number; readonly drop: () => void }>();
  /** Exits that are being told. */
  readonly #telling = new Map<string, Promise<void>>();
  readonly #known = new Map<string, Known>();
  readonly #fates = new Map<string, Fate>();
  readonly #listeners = new Set<(exit: ServiceExit) => void>();

  constructor(parts: BookOptions) {
    this.#parts = parts;
    this.#watch = pidWatch(parts.watchEvery);
  }

  /** Asks systemd. Rejects when it does not answer. */
  async look(unit: ServiceUnit): Promise<UnitFacts> {
    const facts = await this.#parts.shower.show(unitNameOf(unit));
    const { name } = unit;
    const pid = facts.mainPid;
    const startTime = pid === 0 || !alive(pid) ? undefined : readStat(pid)?.startTime;
    // The word of systemd may be older than the end of the process.
    if (facts.active === 'active' && (pid === 0 || startTime !== undefined)) this.#fates.delete(name);
    if (this.#endedBySurprise(name, facts)) this.#fates.set(name, 'died');
    const status = this.statusOf(unit, facts);
    const at = this.#parts.clock.now();
    this.#known.set(name, { status, facts, at, ...(startTime === undefined ? {} : { startTime }) });
    if (startTime !== undefined && this.#watched.get(name)?.pid !== pid) {
      this.#watched.get(name)?.drop();
      const drop = this.#watch.watch(pid, startTime, () => this.#ended(unit, pid));
      this.#watched.set(name, { pid, drop });
    }
    return facts;
  }

  statusOf({ name }: ServiceUnit, facts: UnitFacts): ServiceStatus {
    const state = understood(facts, this.#fates.get(name));
    const exitCode = state === 'running' ? undefined : exitCodeOfUnit(facts);
    return {
      state,
      ...(facts.mainPid === 0 ? {} : { pid: facts.mainPid }),
      ...(facts.changedAt > 0 ? { since: sinceBoot(facts.changedAt, this.#parts.clock) } : {}),
      ...(exitCode === undefined ? {} : { exitCode }),
    };
  }

  /** As it is now; asks systemd only if it may have changed. Rejects when that does not answer. */
  async status(unit: ServiceUnit): Promise<ServiceStatus> {
    const last = this.#known.get(unit.name);
    if (last && this.#stillSo(last)) return last.status;
    return this.statusOf(unit, await this.look(unit));
  }

  /** Its end is told now, as one that was asked for, and not when it would be noticed next. */
  async settle(unit: ServiceUnit): Promise<void> {
    const last = this.#watched.get(unit.name);
    last?.drop();
    if (last) this.#ended(unit, last.pid);
    await this.#telling.get(unit.name);
  }

  /** Confirmed: neither running nor on its way, and no process is left. */
  async gone(unit: ServiceUnit): Promise<boolean> {
    const facts = await this.look(unit).catch(() => undefined);
    return facts !== undefined && isDown(facts) && this.#parts.processes(facts.cgroup).length === 0;
  }

  /** The processes that were last seen of it. */
  left(unit: ServiceUnit): number[] {
    const last = this.#known.get(unit.name);
    return last ? this.#parts.processes(last.facts.cgroup) : [];
  }

  setFate(unit: ServiceUnit, fate: Fate | undefined): void {
    if (fate === undefined) this.#fates.delete(unit.name);
    else this.#fates.set(unit.name, fate);
    this.#known.delete(unit.name);
  }

  onExit(listener: (exit: ServiceExit) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#watch.close();
    this.#listeners.clear();
  }

  #endedBySurprise(name: string, now: UnitFacts): boolean {
    const before = this.#known.get(name)?.facts;
    return (
      before !== undefined &&
      before.mainPid !== 0 &&
      isDown(now) &&
      !this.#parts.expected(name) &&
      !this.#fates.has(name)
    );
  }

  #ended(unit: ServiceUnit, pid: number): void {
    const { name } = unit;
    if (this.#watched.get(name)?.pid === pid) this.#watched.delete(name);
    this.#known.delete(name);
    const wanted = this.#parts.expected(name);
    if (!wanted) this.#fates.set(name, 'died');
    const told = this.#tell(unit, pid, wanted).finally(() => {
      if (this.#telling.get(name) === told) this.#telling.delete(name);
    });
    this.#telling.set(name, told);
  }

  async #tell(unit: ServiceUnit, pid: number, wanted: boolean): Promise<void> {
    const { name } = unit;
    // systemd hears of it a moment later than the kernel's list shows it.
    const facts = await until(
      async () => {
        const now = await this.look(unit).catch(() => undefined);
        return now && (now.ended?.pid === pid || now.mainPid !== pid) ? now : undefined;
      },
      { timeout: EXIT_CODE_WAIT, ...UNIT_PACE },
    );
    const told = facts?.ended?.pid === pid ? facts : undefined;
    const exitCode = told && exitCodeOfUnit(told);
    const signal = told && signalOfUnit(told);
    const exit: ServiceExit = {
      name,
      pid,
      expected: wanted,
      ...(exitCode === undefined ? {} : { exitCode }),
      ...(signal === undefined ? {} : { signal }),
    };
    for (const listener of [...this.#listeners]) listener(exit);
  }

  /** Still true without asking systemd: the same main process lives, or there was none and is none. */
  #stillSo({ facts, startTime, at }: Known): boolean {
    const { mainPid } = facts;
    if (facts.job) return false;
    if (mainPid !== 0)
      return facts.active === 'active' && startTime !== undefined && alive(mainPid, startTime);
    if (this.#parts.clock.now() - at > ASK_AGAIN) return false;
    return isDown(facts) ? this.#parts.processes(facts.cgroup).length === 0 : facts.active === 'active';
  }
}

function understood(facts: UnitFacts, fate: Fate | undefined) {
  const state = stateOf(facts);
  if (state === 'running') return fate === 'hangs' ? 'failed' : state;
  if (state === 'stopped') return fate === 'died' ? 'failed' : state;
  if (state === 'failed') return fate === 'stopped' && isDown(facts) ? 'stopped' : state;
  return state;
}

function sinceBoot(seconds: number, clock: Clock): Date {
  return new Date(clock.wall().getTime() - (boottime() - seconds) * 1000);
}
