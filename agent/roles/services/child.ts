import { constants } from 'node:os';
import { join } from 'node:path';
import { AgentError } from '../../errors.ts';
import { type Clock, sleep, systemClock, until } from '../../platform/clock.ts';
import { makeDir } from '../../platform/files.ts';
import { alive } from '../../platform/procfs.ts';
import { stopsByName } from '../../platform/stops.ts';
import type { ServiceDriver, ServiceExit, ServiceStatus, ServiceUnit, StopOptions } from './driver.ts';
import { exitPoller } from './poller.ts';
import { fileRecords, type ServiceRecord, UNIT_VARIABLE } from './record.ts';
import { killRemains, remainsOf, send } from './remains.ts';
import { spawnDetached } from './spawn.ts';

export interface ChildDriverOptions {
  /** Holds a record per service; must outlive the agent, need not outlive a reboot. */
  readonly runDir: string;
  readonly logDir: string;
  readonly clock?: Clock;
  /** How often processes of an earlier agent are looked at, ms. Default 1000. */
  readonly pollEvery?: number;
}

/** One process, from its start or adoption until it is gone. */
interface Live {
  readonly record: ServiceRecord;
  /** Started by an earlier agent, so that its end is seen by polling and without an exit code. */
  readonly adopted: boolean;
  readonly gone: Promise<void>;
  readonly markGone: () => void;
}

const STOP_TIMEOUT = 10_000;
/** SIGKILL works at once, unless the process hangs in the kernel. */
const KILL_TIMEOUT = 5_000;

/** Runs services as detached children, which survive the agent and are taken up again by the next one. */
export const childDriver = (options: ChildDriverOptions): ServiceDriver => new ChildDriver(options);

class ChildDriver implements ServiceDriver {
  readonly #logDir: string;
  readonly #clock: Clock;
  readonly #records: ReturnType<typeof fileRecords>;
  readonly #poller: ReturnType<typeof exitPoller>;
  readonly #live = new Map<string, Live>();
  /** What became of services that do not run; a name in neither map was not looked at yet. */
  readonly #ended = new Map<string, ServiceStatus>();
  readonly #launching = new Map<string, Promise<ServiceStatus>>();
  readonly #stops = stopsByName();
  readonly #listeners = new Set<(exit: ServiceExit) => void>();

  constructor(options: ChildDriverOptions) {
    const { runDir, logDir, clock = systemClock, pollEvery } = options;
    makeDir(runDir);
    makeDir(logDir);
    this.#logDir = logDir;
    this.#clock = clock;
    this.#records = fileRecords(runDir);
    this.#poller = exitPoller(pollEvery);
  }

  async start(unit: ServiceUnit): Promise<ServiceStatus> {
    const { name } = unit;
    const stale = this.#stops(name).asked();
    while (this.#stops(name).underWay()) await this.#stops(name).settled();
    const entry = this.#launching.has(name) ? undefined : await this.#look(name);
    if (stale()) {
      throw new AgentError({
        class: 'transient',
        code: 'service_start_cancelled',
        message: `${name} was not started: a stop was requested meanwhile`,
      });
    }
    if (entry) return this.#running(entry);
    const launched =
      this.#launching.get(name) ?? this.#launch(unit).finally(() => this.#launching.delete(name));
    this.#launching.set(name, launched);
    return launched;
  }

  stop(unit: ServiceUnit, how: StopOptions = {}): Promise<void> {
    return this.#stops(unit.name).stop(async () => {
      const { name } = unit;
      await this.#launching.get(name)?.catch(() => {});
      const entry = this.#find(name);
      if (entry) await this.#stopProcess(entry, unit, how);
      else await this.#killOff(name);
      this.#records.remove(name);
      this.#ended.set(name, { ...this.#ended.get(name), state: 'stopped' });
    });
  }

  async restart(unit: ServiceUnit, how?: StopOptions): Promise<ServiceStatus> {
    await this.stop(unit, how);
    return this.start(unit);
  }

  async status(unit: ServiceUnit): Promise<ServiceStatus> {
    try {
      const entry = await this.#look(unit.name);
      return entry ? this.#running(entry) : (this.#ended.get(unit.name) ?? { state: 'unknown' });
    } catch {
      return { state: 'unknown' };
    }
  }

  onExit(listener: (exit: ServiceExit) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close() {
    this.#poller.close();
    this.#listeners.clear();
  }

  #running({ record }: Live): ServiceStatus {
    return {
      state: 'running',
      pid: record.pid,
      since: record.startedAt,
    };
  }

  #enter(record: ServiceRecord, adopted: boolean): Live {
    const { promise, resolve } = Promise.withResolvers<void>();
    const entry: Live = { record, adopted, gone: promise, markGone: resolve };
    this.#live.set(record.name, entry);
    this.#ended.delete(record.name);
    return entry;
  }

  #leave(entry: Live, code: number | null, signal: string | null) {
    const { name, pid } = entry.record;
    if (this.#live.get(name) !== entry) return;
    this.#live.delete(name);
    const expected = this.#stops(name).underWay();
    const exitCode = code ?? signalCode(signal);
    const known = exitCode === undefined ? {} : { exitCode };
    this.#ended.set(name, { state: expected ? 'stopped' : 'failed', since: this.#clock.wall(), ...known });
    entry.markGone();
    const exit = { name, pid, expected, ...known, ...(signal === null ? {} : { signal }) };
    for (const listener of [...this.#listeners]) listener(exit);
  }

  /** The process of this service, taken up from its record if an earlier agent started it. */
  #find(name: string): Live | undefined {
    const known = this.#live.get(name);
    if (known || this.#ended.has(name)) return known;
    const recalled = this.#records.recall(name);
    if (recalled.kind !== 'running') {
      this.#ended.set(name, { state: recalled.kind === 'died' ? 'failed' : 'stopped' });
      return undefined;
    }
    const entry = this.#enter(recalled.record, true);
    this.#poller.watch(entry.record.pid, entry.record.startTime, () => this.#leave(entry, null, null));
    return entry;
  }

  /** The same, and it is there right now: an end that nothing has told yet is taken note of. */
  async #look(name: string): Promise<Live | undefined> {
    const entry = this.#find(name);
    if (!entry || alive(entry.record.pid, entry.record.startTime)) return entry;
    await this.#noticed(entry);
    return undefined;
  }

  /** For a process that is gone: the exit event of our own child is on its way and brings the exit code. */
  async #noticed(entry: Live): Promise<void> {
    if (!entry.adopted) await Promise.race([entry.gone, sleep(100)]);
    this.#leave(entry, null, null);
  }

  async #launch(unit: ServiceUnit): Promise<ServiceStatus> {
    const { name } = unit;
    const startedAt = this.#clock.wall();
    this.#records.intend(name, startedAt);
    try {
      const mark = { [UNIT_VARIABLE]: this.#records.mark(name) };
      const child = await spawnDetached(unit, unit.logFile ?? join(this.#logDir, `${name}.log`), mark);
      const entry = this.#enter(this.#records.started(name, child.pid, startedAt), false);
      child.on('exit', (code, signal) => this.#leave(entry, code, signal));
      if (child.exitCode !== null || child.signalCode !== null)
        this.#leave(entry, child.exitCode, child.signalCode);
      return this.#running(entry);
    } catch (cause) {
      this.#ended.set(name, { state: 'failed', since: startedAt });
      throw cause;
    }
  }

  async #stopProcess(entry: Live, unit: ServiceUnit, how: StopOptions): Promise<void> {
    const { pid, startTime } = entry.record;
    const isGone = () => !alive(pid, startTime);
    if (!isGone()) send(pid, how.signal ?? unit.stopSignal ?? 'SIGTERM');
    const timeout = how.timeout ?? unit.stopTimeout ?? STOP_TIMEOUT;
    await Promise.race([entry.gone, until(isGone, { timeout, every: 10 })]);
    await this.#killOff(unit.name, entry.record);
    await this.#noticed(entry);
  }

  async #killOff(name: string, main?: ServiceRecord): Promise<void> {
    const left = await killRemains(() => remainsOf(this.#records.mark(name), main), KILL_TIMEOUT);
    if (left.length === 0) return;
    throw new AgentError({
      class: 'transient',
      code: 'service_not_stopped',
      message: `${name} does not end, not even on SIGKILL: pid ${left.join(', ')}`,
      hint: 'a process stuck in the kernel is waiting for its storage: fix the storage, or restart the machine',
    });
  }
}

function signalCode(signal: string | null): number | undefined {
  const number = signal === null ? undefined : constants.signals[signal as keyof typeof constants.signals];
  return number === undefined ? undefined : 128 + number;
}
