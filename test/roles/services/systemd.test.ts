import { describe, expect, test } from 'bun:test';
import process from 'node:process';
import { systemdDriver } from '../../../agent/roles/services/systemd.ts';
import { type Deeds, down, type FakeUnit, fakeSystemd, UNIT, up, world } from './systemd_fake.ts';

describe('a start', () => {
  test('is filed once and done when the unit is active', async () => {
    const { driver, calls, unit, later } = world(
      {},
      { start: (unit) => void Object.assign(unit, { job: 7 }) },
    );
    later.push(
      () => {},
      () => {},
      () => void Object.assign(unit, { job: 0, active: 'activating', sub: 'start', mainPid: process.pid }),
      up,
    );
    expect(await driver.start(UNIT)).toMatchObject({ state: 'running', pid: process.pid });
    expect(calls).toEqual(['service start worker.service']);
    await driver.start(UNIT);
    expect(calls.length).toBe(1);
  });

  test('of a server that recovers is done once it has a process, if that is what it waits for', async () => {
    const { driver } = world(
      {},
      {
        start: (unit) =>
          void Object.assign(unit, { job: 7, active: 'activating', sub: 'start', mainPid: process.pid }),
      },
    );
    expect(await driver.start({ ...UNIT, startWaits: 'process' })).toMatchObject({ state: 'running' });
  });

  test('of a server that ended at once is done too: its own log says why', async () => {
    const deeds: Deeds = {
      start: (unit) =>
        void Object.assign(unit, {
          active: 'failed',
          sub: 'failed',
          result: 'exit-code',
          code: 1,
          status: 1,
          execPid: 99,
        }),
    };
    const { driver } = world({ code: 1, status: 0, execPid: 98 }, deeds);
    expect(await driver.start({ ...UNIT, startWaits: 'process' })).toMatchObject({
      state: 'failed',
      exitCode: 1,
    });
  });

  test('that fails says how, and the unit counts as failed', async () => {
    const { driver } = world(
      {},
      {
        start: (unit) =>
          void Object.assign(unit, {
            active: 'failed',
            sub: 'failed',
            result: 'exit-code',
            code: 1,
            status: 7,
          }),
      },
    );
    await expect(driver.start(UNIT)).rejects.toMatchObject({
      code: 'service_not_started',
      message: 'worker.service did not start: failed (failed), exit-code, exit code 7',
    });
    expect(await driver.status(UNIT)).toMatchObject({ state: 'failed', exitCode: 7 });
  });

  test('whose process died and that systemd will try again is a failure now', async () => {
    const { driver } = world(
      {},
      {
        start: (unit) =>
          void Object.assign(unit, { active: 'activating', sub: 'auto-restart', code: 2, status: 9 }),
      },
    );
    await expect(driver.start(UNIT)).rejects.toThrow('SIGKILL');
    expect(await driver.status(UNIT)).toMatchObject({ state: 'failed', exitCode: 137 });
  });

  test('that hangs is given up after its time, and the unit is not said to run', async () => {
    const { driver, unit } = world(
      {},
      {
        start: (unit) =>
          void Object.assign(unit, { active: 'activating', sub: 'start', mainPid: process.pid }),
      },
    );
    await expect(driver.start({ ...UNIT, startTimeout: 30 })).rejects.toThrow('was not active within 30 ms');
    expect((await driver.status(UNIT)).state).toBe('failed');
    up(unit);
    expect((await driver.status(UNIT)).state).toBe('running');
  });

  test('of a unit that does not exist or is masked asks nothing of root', async () => {
    for (const [load, says] of [
      ['not-found', 'there is no such unit'],
      ['masked', 'it is masked'],
    ] as const) {
      const { driver, calls } = world({ load });
      await expect(driver.start(UNIT)).rejects.toThrow(says);
      expect(calls).toEqual([]);
    }
  });

  test('that root refuses is the error of the trampoline', async () => {
    const { options } = fakeSystemd('worker.service', {});
    const trampoline = () => Promise.reject(new Error('refused'));
    await expect(systemdDriver({ ...options, trampoline }).start(UNIT)).rejects.toThrow('refused');
  });

  test('gives way to a stop that is asked for meanwhile, which waits until root has filed the start', async () => {
    const filed = Promise.withResolvers<string>();
    const { options, unit, calls } = fakeSystemd('worker.service', {});
    const driver = systemdDriver({
      ...options,
      trampoline: async (verb, action = '', name = '') => {
        if (action === 'start') await filed.promise;
        calls.push(`${verb} ${action} ${name}`);
        if (action === 'start') up(unit);
        else down(unit);
        return '';
      },
    });
    const outcome = driver.start(UNIT).then(
      () => 'started',
      (error: { code: string }) => error.code,
    );
    while (options.processes().length > 0 || calls.length > 0) await Promise.resolve();
    await new Promise((done) => setImmediate(done));
    const stopped = driver.stop(UNIT);
    filed.resolve('');
    await stopped;
    expect(calls).toEqual(['service start worker.service', 'service stop worker.service']);
    expect(await outcome).toBe('service_start_cancelled');
    expect((await driver.status(UNIT)).state).toBe('stopped');
  });
});

describe('a stop', () => {
  const running: Partial<FakeUnit> = {
    active: 'active',
    sub: 'running',
    mainPid: process.pid,
    processes: [process.pid],
  };

  test('of what is stopped asks nothing of root', async () => {
    const { driver, calls } = world();
    await driver.stop(UNIT);
    expect(calls).toEqual([]);
  });

  test('is not over while a process is left, though systemd calls the unit inactive', async () => {
    const left = (unit: FakeUnit) => {
      down(unit);
      unit.processes = [4711];
    };
    const { driver, calls } = world(running, { stop: left, kill: down });
    await driver.stop({ ...UNIT, stopTimeout: 30 });
    expect(calls).toEqual(['service stop worker.service', 'service kill worker.service']);
  });

  test('by SIGKILL does not wait, and the unit it leaves failed is stopped', async () => {
    const { driver, calls } = world(running, {
      kill: (unit) => {
        down(unit);
        Object.assign(unit, { active: 'failed', sub: 'failed', result: 'signal', code: 2, status: 9 });
      },
    });
    await driver.stop(UNIT, { signal: 'SIGKILL' });
    expect(calls).toEqual(['service stop worker.service', 'service kill worker.service']);
    expect((await driver.status(UNIT)).state).toBe('stopped');
  });
});
