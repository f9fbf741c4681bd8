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
export function childDriver(options: ChildDriverOptions): ServiceDriver {
  const { runDir, logDir, clock = systemClock, pollEvery } = options;
  makeDir(runDir);
  makeDir(logDir);
  const records = fileRecords(runDir);
  const poller = exitPoller(pollEvery);
  const live = new Map<string, Live>();
  /** What became of services that do not run; a name in neither map was not looked at yet. */
  const ended = new Map<string, ServiceStatus>();
  const launching = new Map<string, Promise<ServiceStatus>>();
  const stops = stopsByName();
  const listeners = new Set<(exit: ServiceExit) => void>();

  const running = ({ record }: Live): ServiceStatus => ({
    state: 'running',
    pid: record.pid,
    since: record.startedAt,
  });

  const enter = (record: ServiceRecord, adopted: boolean): Live => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const entry: Live = { record, adopted, gone: promise, markGone: resolve };
    live.set(record.name, entry);
    ended.delete(record.name);
    return entry;
  };

  const leave = (entry: Live, code: number | null, signal: string | null) => {
    const { name, pid } = entry.record;
    if (live.get(name) !== entry) return;
    live.delete(name);
    const expected = stops(name).underWay();
    const exitCode = code ?? signalCode(signal);
    const known = exitCode === undefined ? {} : { exitCode };
    ended.set(name, { state: expected ? 'stopped' : 'failed', since: clock.wall(), ...known });
    entry.markGone();
    const exit = { name, pid, expected, ...known, ...(signal === null ? {} : { signal }) };
    for (const listener of [...listeners]) listener(exit);
  };

  /** The process of this service, taken up from its record if an earlier agent started it. */
  const find = (name: string): Live | undefined => {
    const known = live.get(name);
    if (known || ended.has(name)) return known;
    const recalled = records.recall(name);
    if (recalled.kind !== 'running') {
      ended.set(name, { state: recalled.kind === 'died' ? 'failed' : 'stopped' });
      return undefined;
    }
    const entry = enter(recalled.record, true);
    poller.watch(entry.record.pid, entry.record.startTime, () => leave(entry, null, null));
    return entry;
  };

  /** The same, and it is there right now: an end that nothing has told yet is taken note of. */
  const look = async (name: string): Promise<Live | undefined> => {
    const entry = find(name);
    if (!entry || alive(entry.record.pid, entry.record.startTime)) return entry;
    await noticed(entry);
    return undefined;
  };

  /** For a process that is gone: the exit event of our own child is on its way and brings the exit code. */
  const noticed = async (entry: Live): Promise<void> => {
    if (!entry.adopted) await Promise.race([entry.gone, sleep(100)]);
    leave(entry, null, null);
  };

  const launch = async (unit: ServiceUnit): Promise<ServiceStatus> => {
    const { name } = unit;
    const startedAt = clock.wall();
    records.intend(name, startedAt);
    try {
      const mark = { [UNIT_VARIABLE]: records.mark(name) };
      const child = await spawnDetached(unit, unit.logFile ?? join(logDir, `${name}.log`), mark);
      const entry = enter(records.started(name, child.pid, startedAt), false);
      child.on('exit', (code, signal) => leave(entry, code, signal));
      if (child.exitCode !== null || child.signalCode !== null)
        leave(entry, child.exitCode, child.signalCode);
      return running(entry);
    } catch (cause) {
      ended.set(name, { state: 'failed', since: startedAt });
      throw cause;
    }
  };

  const start = async (unit: ServiceUnit): Promise<ServiceStatus> => {
    const { name } = unit;
    const stale = stops(name).asked();
    while (stops(name).underWay()) await stops(name).settled();
    const entry = launching.has(name) ? undefined : await look(name);
    if (stale()) {
      throw new AgentError({
        class: 'transient',
        code: 'service_start_cancelled',
        message: `${name} was not started: a stop was asked for meanwhile`,
      });
    }
    if (entry) return running(entry);
    const launched = launching.get(name) ?? launch(unit).finally(() => launching.delete(name));
    launching.set(name, launched);
    return launched;
  };

  const stopProcess = async (entry: Live, unit: ServiceUnit, how: StopOptions): Promise<void> => {
    const { pid, startTime } = entry.record;
    const isGone = () => !alive(pid, startTime);
    if (!isGone()) send(pid, how.signal ?? unit.stopSignal ?? 'SIGTERM');
    const timeout = how.timeout ?? unit.stopTimeout ?? STOP_TIMEOUT;
    await Promise.race([entry.gone, until(isGone, { timeout, every: 10 })]);
    await killOff(unit.name, entry.record);
    await noticed(entry);
  };

  const killOff = async (name: string, main?: ServiceRecord): Promise<void> => {
    const left = await killRemains(() => remainsOf(records.mark(name), main), KILL_TIMEOUT);
    if (left.length === 0) return;
    throw new AgentError({
      class: 'transient',
      code: 'service_not_stopped',
      message: `${name} does not end, not even by SIGKILL: pid ${left.join(', ')}`,
      hint: 'a process that hangs in the kernel waits for its storage: see to that, or restart the machine',
    });
  };

  const stop = (unit: ServiceUnit, how: StopOptions = {}): Promise<void> =>
    stops(unit.name).stop(async () => {
      const { name } = unit;
      await launching.get(name)?.catch(() => {});
      const entry = find(name);
      if (entry) await stopProcess(entry, unit, how);
      else await killOff(name);
      records.remove(name);
      ended.set(name, { ...ended.get(name), state: 'stopped' });
    });

  return {
    start,
    stop,
    async restart(unit, how) {
      await stop(unit, how);
      return start(unit);
    },
    async status(unit) {
      try {
        const entry = await look(unit.name);
        return entry ? running(entry) : (ended.get(unit.name) ?? { state: 'unknown' });
      } catch {
        return { state: 'unknown' };
      }
    },
    onExit(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      poller.close();
      listeners.clear();
    },
  };
}

function signalCode(signal: string | null): number | undefined {
  const number = signal === null ? undefined : constants.signals[signal as keyof typeof constants.signals];
  return number === undefined ? undefined : 128 + number;
}
