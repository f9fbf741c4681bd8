import { describe, expect, test } from 'bun:test';
import type { ServiceConfig } from '../../../agent/config/index.ts';
import type { ServiceDriver, StopOptions } from '../../../agent/roles/services/driver.ts';
import { createServiceRunner } from '../../../agent/roles/services/runner.ts';

const service = (name: string, order: number): ServiceConfig => ({
  name,
  unit: `${name}.service`,
  env: {},
  active_only: true,
  order,
  critical: true,
  warm: false,
  start_timeout: 60_000,
  stop_timeout: 30_000,
});

/** Starts that end when the test says so, unless a stop of the same unit ends them first. */
function manual() {
  const told: string[] = [];
  const timeouts: number[] = [];
  const starting = new Map<string, { ok(): void; cancelled(): void }>();
  const driver = {
    start: ({ name }: { name: string }) => {
      told.push(`start ${name}`);
      return new Promise<void>((ok, fail) => {
        starting.set(name, { ok, cancelled: () => fail(new Error(`${name}: cancelled`)) });
      });
    },
    stop: async ({ name }: { name: string }, how: StopOptions = {}) => {
      told.push(`stop ${name}`);
      timeouts.push(how.timeout ?? Number.POSITIVE_INFINITY);
      starting.get(name)?.cancelled();
    },
  } as unknown as ServiceDriver;
  const runner = createServiceRunner([service('web', 2), service('broker', 1)], driver);
  return { runner, told, timeouts, starting };
}

describe('the active-only services', () => {
  test('start in order, one after the other', async () => {
    const { runner, told, starting } = manual();
    const up = runner.up();
    expect(told).toEqual(['start broker']);
    starting.get('broker')?.ok();
    await Promise.resolve();
    await Promise.resolve();
    starting.get('web')?.ok();
    expect(await up).toEqual({ kind: 'done' });
    expect(told).toEqual(['start broker', 'start web']);
  });
  test('a stop ends what is being started, and nothing behind it is started any more', async () => {
    const { runner, told } = manual();
    const up = runner.up();
    expect(await runner.down(5000)).toEqual({ kind: 'done' });
    expect(await up).toMatchObject({ kind: 'failed' });
    expect(told).toEqual(['start broker', 'stop web', 'stop broker']);
  });
  test('one that was up before a stop passes it, and ends the rest all the same', async () => {
    const { runner, told, starting } = manual();
    const up = runner.up();
    const down = runner.down(5000);
    starting.get('broker')?.ok();
    await Promise.all([up, down]);
    expect(told.filter((t) => t === 'start web')).toEqual([]);
  });
  test('stop within their own time, and all together within the time that is given', async () => {
    const { runner, timeouts } = manual();
    await runner.down(1500);
    await runner.down(60_000);
    expect(timeouts.slice(0, 2).every((ms) => ms <= 1500 && ms >= 100)).toBe(true);
    expect(timeouts.slice(2).every((ms) => ms <= 30_000)).toBe(true);
  });
});
