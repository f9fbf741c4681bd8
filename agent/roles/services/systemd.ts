import { AgentError } from '../../errors.ts';
import { type Clock, systemClock, until } from '../../platform/clock.ts';
import { stopsByName } from '../../platform/stops.ts';
import { createTrampoline, type Trampoline } from '../root/call.ts';
import type { ServiceDriver, ServiceStatus, ServiceUnit, StopOptions } from './driver.ts';
import { UNIT_PACE, unitBook, unitNameOf } from './systemd_book.ts';
import { processesOf } from './systemd_cgroup.ts';
import { createShower, type Runner, type UnitFacts } from './systemd_show.ts';
import { complaintOf, isStarting, stateOf } from './systemd_state.ts';

export interface SystemdDriverOptions {
  /** How root is asked; default as the agent asks. */
  readonly trampoline?: Trampoline;
  /** Runs `systemctl show`; for tests. */
  readonly run?: Runner;
  /** Living processes of a cgroup; for tests. */
  readonly processes?: (cgroup: string) => number[];
  readonly clock?: Clock;
  /** How often main processes are looked at, ms. Default 100. */
  readonly watchEvery?: number;
}

/** Milliseconds. */
const START_TIMEOUT = 60_000;
const STOP_TIMEOUT = 10_000;
/** SIGKILL works at once, unless the process hangs in the kernel. */
const KILL_TIMEOUT = 5_000;
const KILL_AGAIN = 1_000;

/**
 * Runs services as systemd units. Root's part goes through the trampoline and only files a job (--no-block);
 * everything else, the waiting above all, is done as this user, so that nothing of root's can hang. A stop's
 * own `signal` can only be SIGKILL: any other is the unit's KillSignal.
 */
export function systemdDriver(options: SystemdDriverOptions = {}): ServiceDriver {
  const { trampoline = createTrampoline(), clock = systemClock, processes = processesOf } = options;
  const stops = stopsByName();
  const { watchEvery } = options;
  const book = unitBook({
    shower: createShower(options.run, (unit) => trampoline('service', 'status', unit)),
    processes,
    clock,
    watchEvery,
    expected: (name) => stops(name).underWay(),
  });
  /** Starts that root has not filed yet: a stop that overtook one would be undone by it. */
  const filing = new Map<string, Promise<unknown>>();

  const file = async (unit: ServiceUnit): Promise<void> => {
    book.setFate(unit, undefined);
    const call = filing.get(unit.name) ?? trampoline('service', 'start', unitNameOf(unit));
    filing.set(unit.name, call);
    try {
      await call;
    } finally {
      if (filing.get(unit.name) === call) filing.delete(unit.name);
    }
  };

  const start = async (unit: ServiceUnit): Promise<ServiceStatus> => {
    const { name } = unit;
    const stale = stops(name).asked();
    const refuseIfCancelled = () => {
      if (stale()) throw startCancelled(name);
    };
    while (stops(name).underWay()) await stops(name).settled();
    const before = await book.look(unit);
    refuseIfCancelled();
    if (before.load !== 'loaded') throw notStarted(unit, before);
    if (stateOf(before) !== 'running' || before.active === 'deactivating') await file(unit);
    const facts = await started(unit, before, refuseIfCancelled);
    return book.statusOf(unit, facts);
  };

  const started = async (unit: ServiceUnit, before: UnitFacts, check: () => void): Promise<UnitFacts> => {
    const limit = unit.startTimeout ?? START_TIMEOUT;
    let last = before;
    const up = await until(
      async () => {
        check();
        const facts = await book.look(unit).catch(() => undefined);
        if (!facts) return undefined;
        last = facts;
        if (isUp(unit, facts) || hadProcess(unit, before, facts)) return facts;
        if (isStarting(facts) || facts.active === 'deactivating') return undefined;
        throw notStarted(unit, facts);
      },
      { timeout: limit, ...UNIT_PACE },
    );
    if (up) return up;
    book.setFate(unit, 'hangs');
    throw notStarted(unit, last, `was not active within ${limit} ms`);
  };

  const stop = (unit: ServiceUnit, how: StopOptions = {}): Promise<void> =>
    stops(unit.name).stop(async () => {
      await filing.get(unit.name)?.catch(() => {});
      if (!(await book.gone(unit))) await stopProcesses(unit, how);
      await book.settle(unit);
      book.setFate(unit, 'stopped');
    });

  const stopProcesses = async (unit: ServiceUnit, how: StopOptions): Promise<void> => {
    await trampoline('service', 'stop', unitNameOf(unit));
    const timeout = how.timeout ?? unit.stopTimeout ?? STOP_TIMEOUT;
    const gently = how.signal !== 'SIGKILL';
    if (gently && (await until(() => book.gone(unit), { timeout, ...UNIT_PACE }))) return;
    for (let tries = 0; tries < KILL_TIMEOUT / KILL_AGAIN; tries++) {
      // A unit that is gone meanwhile cannot be killed, and need not be.
      await trampoline('service', 'kill', unitNameOf(unit)).catch(() => {});
      if (await until(() => book.gone(unit), { timeout: KILL_AGAIN, ...UNIT_PACE })) return;
    }
    throw notStopped(unitNameOf(unit), book.left(unit));
  };

  return {
    start,
    stop,
    async restart(unit, how) {
      await stop(unit, how);
      return start(unit);
    },
    status: (unit) => book.status(unit).catch(() => ({ state: 'unknown' })),
    onExit: (listener) => book.onExit(listener),
    async close() {
      book.close();
    },
  };
}

const isUp = (unit: ServiceUnit, facts: UnitFacts): boolean =>
  (facts.active === 'active' && !facts.job) ||
  (unit.startWaits === 'process' && facts.mainPid !== 0 && facts.active !== 'deactivating');

/**
 * Its process came and went between two looks: who waits for the process alone finds out from the server
 * itself why.
 */
const hadProcess = (unit: ServiceUnit, before: UnitFacts, now: UnitFacts): boolean =>
  unit.startWaits === 'process' &&
  !isStarting(now) &&
  now.ended !== undefined &&
  now.ended.pid !== before.ended?.pid;

const startCancelled = (name: string) =>
  new AgentError({
    class: 'transient',
    code: 'service_start_cancelled',
    message: `${name} was not started: a stop was requested meanwhile`,
  });

const notStarted = (unit: ServiceUnit, facts: UnitFacts, why = 'did not start') =>
  new AgentError({
    class: 'operator',
    code: 'service_not_started',
    message: `${unitNameOf(unit)} ${why}: ${complaintOf(facts)}`,
    hint: `'journalctl -u ${unitNameOf(unit)}' says more`,
  });

const notStopped = (name: string, pids: readonly number[]) =>
  new AgentError({
    class: 'transient',
    code: 'service_not_stopped',
    message: `${name} does not end, not even on SIGKILL${pids.length === 0 ? '' : `: pid ${pids.join(', ')}`}`,
    hint: 'a process stuck in the kernel is waiting for its storage: fix the storage, or restart the machine',
  });
