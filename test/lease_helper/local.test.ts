import { afterAll, describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeConfig } from '../../agent/config/index.ts';
import { mayWrite } from '../../agent/lease_helper/local.ts';
import { unitsToStop } from '../../agent/lease_helper/main.ts';
import { deadlineMarker } from '../../agent/lease_helper/marker.ts';

const dir = mkdtempSync(join(tmpdir(), 'local-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('a server', () => {
  test('with standby.signal cannot write', () => {
    const data = join(dir, 'standby');
    mkdirSync(data);
    writeFileSync(join(data, 'standby.signal'), '');
    expect(mayWrite(data)).toBe(false);
  });

  test.each(['primary', 'missing'])('may write where that cannot be seen: %s', (name) => {
    if (name === 'primary') mkdirSync(join(dir, name));
    expect(mayWrite(join(dir, name))).toBe(true);
  });
});

test('only active-only services that are not warm are stopped, the last started first', () => {
  const service = (name: string, order: number, more = {}) => ({
    name,
    unit: `${name}.service`,
    order,
    ...more,
  });
  const config = makeConfig({
    services: [
      service('rabbitmq', 10),
      service('worker', 20),
      service('nginx', 30, { warm: true }),
      service('stats', 40, { active_only: false }),
    ],
  });
  expect(unitsToStop(config)).toEqual(['worker.service', 'rabbitmq.service']);
});

describe('the deadline that was written down', () => {
  const path = join(dir, 'deadline');
  const marker = deadlineMarker(path);

  test('is found again', () => {
    marker.write(123.456);
    expect(deadlineMarker(path).read()).toBeCloseTo(123.46, 2);
  });

  test('that was taken away, also twice, is none', () => {
    marker.write(null);
    marker.write(null);
    expect(marker.read()).toBeNull();
  });

  test('that cannot be read has passed', () => {
    writeFileSync(path, 'nonsense\n');
    expect(marker.read()).toBe(0);
    rmSync(path);
    mkdirSync(path);
    expect(marker.read()).toBe(0);
  });
});
