import { afterEach, describe, expect, test } from 'bun:test';
import { type ChildProcess, spawn } from 'node:child_process';
import process from 'node:process';
import type { ServiceExit } from '../../../agent/roles/services/driver.ts';
import { systemdDriver } from '../../../agent/roles/services/systemd.ts';
import { down, fakeSystemd, UNIT, up, world } from './systemd_fake.ts';

const children: ChildProcess[] = [];
const child = (): number => {
  const one = spawn('sleep', ['100'], { stdio: 'ignore' });
  children.push(one);
  return one.pid ?? 0;
};
afterEach(() => {
  for (const one of children.splice(0)) one.kill('SIGKILL');
});

describe('the status', () => {
  test('of all units asked for at once costs one question', async () => {
    const { driver, shows } = world();
    await Promise.all([driver.status(UNIT), driver.status({ name: 'other', unit: 'other.service' })]);
    expect(shows).toEqual([['worker.service', 'other.service']]);
  });

  test('is remembered while the main process lives, and asked for again when it is another', async () => {
    const pid = child();
    const { driver, shows, unit } = world({ active: 'active', sub: 'running', mainPid: pid });
    for (let i = 0; i < 5; i++) expect((await driver.status(UNIT)).state).toBe('running');
    expect(shows.length).toBe(1);
    down(unit);
    children[0]?.kill('SIGKILL');
    await new Promise((done) => children[0]?.once('exit', done));
    expect((await driver.status(UNIT)).state).toBe('failed');
  });

  test('of a stopped unit is remembered until it has a process', async () => {
    const { driver, shows, unit } = world();
    for (let i = 0; i < 5; i++) expect((await driver.status(UNIT)).state).toBe('stopped');
    expect(shows.length).toBe(1);
    up(unit);
    unit.processes = [process.pid];
    expect((await driver.status(UNIT)).state).toBe('running');
  });

  test('is asked of root when D-Bus does not answer', async () => {
    const { options, fall } = fakeSystemd('worker.service', {});
    fall(true);
    const trampoline = async (...words: string[]) => {
      expect(words).toEqual(['service', 'status', 'worker.service']);
      return 'Id=worker.service\nLoadState=loaded\nActiveState=inactive\nMainPID=0\n';
    };
    expect((await systemdDriver({ ...options, trampoline }).status(UNIT)).state).toBe('stopped');
  });

  test('is unknown, never stopped, when systemd does not answer or a job waits', async () => {
    const { driver, fall, unit } = world();
    fall(true);
    expect(await driver.status(UNIT)).toEqual({ state: 'unknown' });
    fall(false);
    unit.job = 3;
    expect((await driver.status(UNIT)).state).toBe('unknown');
  });

  test('of a unit without a main process goes by what systemd says', async () => {
    const { driver } = world({ active: 'active', sub: 'exited' });
    expect(await driver.status(UNIT)).toMatchObject({ state: 'running' });
  });

  test('of a unit that ends is running to the last', async () => {
    const { driver } = world({ active: 'deactivating', sub: 'stop-sigterm', mainPid: process.pid });
    expect((await driver.status(UNIT)).state).toBe('running');
  });
});

describe('an exit', () => {
  test('is told once, with the signal, and the unit is failed though systemd calls it inactive', async () => {
    const pid = child();
    const { driver, unit } = world({ active: 'active', sub: 'running', mainPid: pid });
    await driver.status(UNIT);
    const exits: ServiceExit[] = [];
    const told = new Promise<void>((done) => {
      driver.onExit((exit) => {
        exits.push(exit);
        done();
      });
    });
    // systemd keeps the number of the process that was.
    Object.assign(unit, { code: 2, status: 9 });
    children[0]?.kill('SIGKILL');
    await told;
    expect(exits).toEqual([{ name: 'worker', pid, expected: false, exitCode: 137, signal: 'SIGKILL' }]);
    down(unit);
    expect((await driver.status(UNIT)).state).toBe('failed');
    await driver.stop(UNIT);
    expect((await driver.status(UNIT)).state).toBe('stopped');
  });
});
