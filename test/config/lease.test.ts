import { describe, expect, test } from 'bun:test';
import {
  type ConfigInput,
  checkConfig,
  effectiveChecks,
  effectiveLease,
  LEASE_PRESETS,
  makeConfig,
} from '../../agent/config/index.ts';
import { leaseProblems, scaleLease } from '../../agent/config/lease.ts';

const paths = (input: ConfigInput) => {
  const result = checkConfig(input);
  return result.ok ? [] : result.problems.map(({ path }) => path);
};

test('the presets are those of the design and safe at every multiplier', () => {
  expect(LEASE_PRESETS.default).toMatchObject({
    retry_period: 1000,
    renew_deadline: 4000,
    lease_duration: 6000,
  });
  expect(LEASE_PRESETS.fast).toMatchObject({ retry_period: 500, renew_deadline: 2000, lease_duration: 3000 });
  for (const preset of Object.values(LEASE_PRESETS)) {
    for (const factor of [1, 1.5, 3, 20]) expect(leaseProblems(scaleLease(preset, factor))).toEqual([]);
  }
});

test('times override their preset one by one', () => {
  const { lease } = makeConfig({ lease: { preset: 'fast', retry_period: '250ms' } });
  expect(lease).toEqual({ preset: 'fast', ...LEASE_PRESETS.fast, retry_period: 250 });
});

describe('a lease is refused', () => {
  test('when a challenger could act before the holder is fenced', () => {
    expect(paths({ lease: { renew_deadline: 5 } })).toEqual(['lease.lease_duration']);
    expect(paths({ lease: { renew_deadline: '4.5s' } })).toEqual(['lease.lease_duration']);
    expect(paths({ lease: { fencing_time: '1999ms' } })).toEqual([]);
    expect(paths({ lease: { fencing_time: '2000ms' } })).toEqual(['lease.lease_duration']);
  });

  test('when one lost renewal would fence the active', () => {
    expect(paths({ lease: { retry_period: 2.1 } })).toEqual(['lease.renew_deadline']);
    expect(paths({ lease: { retry_period: 2 } })).toEqual([]);
  });

  test('also when other sections are wrong', () => {
    expect(paths({ lease: { renew_deadline: 5 }, api: { port: 0 }, checks: { rise: 0 } }).sort()).toEqual([
      'api.port',
      'checks.rise',
      'lease.lease_duration',
    ]);
  });

  test('and not judged by defaults when one of its own times cannot be read', () => {
    expect(paths({ lease: { renew_deadline: 'soon', lease_duration: '4s' } })).toEqual([
      'lease.renew_deadline',
    ]);
  });
});

test('check_ttl_multiplier scales the lease and the TTLs, not the fencing and not how often is looked', () => {
  const config = makeConfig({
    checks: { check_ttl_multiplier: 3, each: { disk: { every: 30 }, consul: { fall: 9 } } },
  });
  expect(effectiveLease(config)).toEqual({
    retry_period: 3000,
    renew_deadline: 12_000,
    lease_duration: 18_000,
    fencing_time: 1500,
  });
  const checks = effectiveChecks(config);
  expect(checks.postgres_port).toMatchObject({ every: 1000, ttl: 15_000, critical: true, rise: 2, fall: 3 });
  expect(checks.disk).toMatchObject({ every: 30_000, ttl: 540_000, group: 'node' });
  expect(checks.consul.fall).toBe(9);
});
