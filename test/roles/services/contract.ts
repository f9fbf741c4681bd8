import assert from 'node:assert/strict';
import process from 'node:process';
import { until } from '../../../agent/platform/clock.ts';
import { alive, readStat } from '../../../agent/platform/procfs.ts';
import type { ServiceDriver, ServiceExit, ServiceUnit } from '../../../agent/roles/services/driver.ts';

/**
 * What every service driver promises, on real processes: the same steps for children and for systemd's units.
 */

export const TIMEOUT = 10_000;

/** What the service does, in sh. */
export const SCRIPTS = {
  // What it says is there once its trap is.
  plain: 'trap "echo stopping; exit 0" TERM; echo started; while :; do sleep 0.05; done',
  exits: 'sleep 0.4; exit 7',
  ignores: 'trap "" TERM; while :; do sleep 0.05; done',
  frozen: 'kill -STOP $$',
  forks: 'sleep 100 & setsid sleep 100 & trap "exit 0" TERM; while :; do sleep 0.05; done',
} as const;
export type Kind = keyof typeof SCRIPTS;

export interface Stage {
  /** Another agent each time. */
  driver(): ServiceDriver;
  unit(kind: Kind, over?: Partial<ServiceUnit>): ServiceUnit;
  /** Living processes of the unit, found without the driver. */
  processes(unit: ServiceUnit): number[];
}

export type Step = (stage: Stage) => Promise<void>;

const exitFrom = (driver: ServiceDriver) => new Promise<ServiceExit>((done) => driver.onExit(done));

export const contract: Record<string, Step> = {
  async 'start and stop'(stage) {
    const driver = stage.driver();
    const unit = stage.unit('plain');
    assert.equal((await driver.status(unit)).state, 'stopped');
    const started = await driver.start(unit);
    assert.equal(started.state, 'running');
    assert.equal((await driver.start(unit)).pid, started.pid, 'a second start does nothing');
    const since = started.since?.getTime() ?? 0;
    assert.ok(Math.abs(Date.now() - since) < TIMEOUT, 'it says since when');
    // Not before its trap is set.
    await until(() => stage.processes(unit).length > 1, { timeout: TIMEOUT });
    const exits: ServiceExit[] = [];
    driver.onExit((exit) => exits.push(exit));
    await driver.stop(unit);
    await driver.stop(unit);
    assert.ok(!alive(started.pid ?? 0));
    // systemd forgets the code of a unit that ended well as soon as it is down.
    assert.deepEqual(
      exits.map(({ exitCode = 0, ...exit }) => ({ ...exit, exitCode })),
      [{ name: unit.name, pid: started.pid, expected: true, exitCode: 0 }],
    );
    assert.equal((await driver.status(unit)).state, 'stopped');
    const again = await driver.restart(unit);
    assert.notEqual(again.pid, started.pid);
    await driver.stop(unit);
    await driver.close();
  },

  async 'an unexpected exit is told with its code'(stage) {
    const driver = stage.driver();
    const unit = stage.unit('exits');
    await driver.start(unit);
    const exit = await exitFrom(driver);
    assert.equal(exit.expected, false);
    assert.equal(exit.exitCode, 7);
    assert.equal((await driver.status(unit)).state, 'failed');
    assert.equal((await stage.driver().status(unit)).state, 'failed', 'a later agent knows that it died');
    await driver.stop(unit);
    assert.equal((await driver.status(unit)).state, 'stopped');
    await driver.close();
  },

  async 'a kill is told at once'(stage) {
    const driver = stage.driver();
    const unit = stage.unit('plain');
    const { pid = 0 } = await driver.start(unit);
    const told = exitFrom(driver);
    const killed = performance.now();
    process.kill(pid, 'SIGKILL');
    const exit = await told;
    assert.ok(performance.now() - killed < 500, `after ${performance.now() - killed} ms`);
    assert.equal(exit.signal, 'SIGKILL');
    assert.equal(exit.exitCode, 137);
    await driver.stop(unit);
    await driver.close();
  },

  async 'what ignores the signal, or is frozen, is killed'(stage) {
    for (const kind of ['ignores', 'frozen'] as const) {
      const driver = stage.driver();
      const unit = stage.unit(kind, { stopTimeout: 300 });
      const { pid = 0 } = await driver.start(unit);
      await until(() => readStat(pid)?.state === 'T', { timeout: 200 });
      await driver.stop(unit);
      assert.ok(!alive(pid));
      assert.equal((await driver.status(unit)).state, 'stopped');
      await driver.close();
    }
  },

  async 'nothing that it started is left, in its group or out of it'(stage) {
    const driver = stage.driver();
    const unit = stage.unit('forks', { stopTimeout: 2000 });
    await driver.start(unit);
    const sleeps = () => stage.processes(unit).filter((pid) => readStat(pid)?.command === 'sleep');
    await until(() => sleeps().length >= 3, { timeout: TIMEOUT });
    await driver.stop(unit);
    assert.deepEqual(stage.processes(unit), []);
    await driver.close();
  },

  async 'a stop overtakes a start that waits, and brings its own signal and time'(stage) {
    const driver = stage.driver();
    const unit = stage.unit('ignores', { stopTimeout: 60_000 });
    await driver.start(unit);
    const slow = driver.stop(unit);
    const waiting = driver.start(unit).then(
      () => 'started',
      (error: { code: string }) => error.code,
    );
    await driver.stop(unit, { signal: 'SIGKILL' });
    await slow;
    assert.equal(await waiting, 'service_start_cancelled');
    assert.equal((await driver.status(unit)).state, 'stopped');
    await driver.close();
  },

  async 'it is taken up by the next agent'(stage) {
    const unit = stage.unit('plain');
    const first = stage.driver();
    const { pid = 0 } = await first.start(unit);
    await first.close();
    const driver = stage.driver();
    assert.equal((await driver.status(unit)).pid, pid);
    assert.equal((await driver.start(unit)).pid, pid, 'and not started twice');
    const told = exitFrom(driver);
    process.kill(pid, 'SIGKILL');
    const exit = await told;
    assert.deepEqual([exit.name, exit.pid, exit.expected], [unit.name, pid, false]);
    assert.equal((await driver.status(unit)).state, 'failed');
    await driver.stop(unit);
    await driver.close();
  },
};
