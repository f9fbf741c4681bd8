import { describe, expect, test } from 'bun:test';
import { makeConfig, type NodeConfig } from '../../agent/config/index.ts';
import type { ClusterLease, ConfigRecord } from '../../agent/core/config_record.ts';
import { receive } from '../../agent/core/lease.ts';
import { foundersLease, leaseReport, withLease } from '../../agent/membership/lease_times.ts';
import { isOlder } from '../../agent/version.ts';
import { node, stateRecord } from '../core/build.ts';
import { Stage } from '../core/stage.ts';

const LEASE: ClusterLease = {
  retryPeriod: 1000,
  renewDeadline: 4000,
  leaseDuration: 6000,
  fencingTime: 1500,
  version: 3,
  by: 'start on a',
  at: '',
};
const CONFIG: ConfigRecord = {
  schema: 1,
  version: 7,
  paused: true,
  pausedUntil: null,
  synchronousMode: 'strict',
  lease: LEASE,
};

function active(config: ConfigRecord = CONFIG) {
  const stage = new Stage();
  const n = node('a', stage);
  stage.store.put('config', config);
  stage.sees(n);
  return { stage, n };
}

const changed = (change: Parameters<typeof withLease>[0], config?: ConfigRecord) =>
  withLease(change, active(config).n, 'eve').lease as ClusterLease;

describe('a change of the lease times', () => {
  test('keeps all else of the key, with who, when and both versions one higher', () => {
    const { n } = active();
    const next = withLease({ multiplier: 3 }, n, 'eve');
    const { lease, ...rest } = next;
    const { lease: _, ...before } = CONFIG;
    expect(rest).toEqual({ ...before, version: 8 });
    expect(lease).toEqual({
      retryPeriod: 3000,
      renewDeadline: 12_000,
      leaseDuration: 18_000,
      fencingTime: 1500,
      version: 4,
      by: 'eve',
      at: n.wall().toISOString(),
    });
  });
  test('a preset with its fencing time, scaled or not, and single times over what there is', () => {
    expect(changed({ preset: 'fast' })).toMatchObject({ renewDeadline: 2000, fencingTime: 700 });
    expect(changed({ preset: 'fast', multiplier: 4 })).toMatchObject({
      leaseDuration: 12_000,
      fencingTime: 700,
    });
    expect(changed({ leaseDuration: 9000 })).toMatchObject({
      ...LEASE,
      version: 4,
      leaseDuration: 9000,
      by: 'eve',
      at: expect.anything(),
    });
    expect(changed({ multiplier: 2, fencingTime: 3000 })).toMatchObject({
      renewDeadline: 8000,
      fencingTime: 3000,
    });
  });
  test('the first of a cluster that has none, and one in place of what nobody can use', () => {
    const { lease: _, ...none } = CONFIG;
    expect(changed({ multiplier: 2 }, none)).toMatchObject({ leaseDuration: 12_000, version: 1 });
    expect(
      changed({ preset: 'default' }, { ...CONFIG, lease: { ...LEASE, leaseDuration: 1 } }),
    ).toMatchObject({
      leaseDuration: 6000,
      version: 4,
    });
    expect(changed({ leaseDuration: 8000 }, { ...CONFIG, lease: 'rubbish' })).toMatchObject({
      renewDeadline: 4000,
      leaseDuration: 8000,
    });
  });
  test.each([
    [
      'unsafe times',
      { renewDeadline: 5000 },
      /leaseDuration \(6000\) must be longer than renewDeadline \+ fencingTime/,
    ],
    [
      'times beyond reason',
      { leaseDuration: 7_200_000 },
      /leaseDuration must be a whole number of milliseconds from 100 to 3600000/,
    ],
    ['one that is too short', { retryPeriod: 10 }, /retryPeriod must be a whole number/],
    ['what is so already', { preset: 'default' as const }, /are 1\/4\/6 s, fencing 1.5 s already/],
  ])('refuses %s', (_, change, why) => {
    expect(() => changed(change)).toThrow(why);
  });
  test('is refused while an agent runs that would go by its own file, or one of which nothing is known', () => {
    const { stage, n } = active();
    stage.store.put('state/b', stateRecord('b', { agentVersion: '0.0.9' }));
    stage.sees(n);
    expect(() => withLease({ multiplier: 2 }, n, 'eve')).toThrow(
      'an agent older than 0.1.0 runs on b (0.0.9)',
    );
    stage.store.drop('state/b');
    stage.sees(n);
    expect(() => withLease({ multiplier: 2 }, n, 'eve')).toThrow(
      'which version of the agent runs on b is not known',
    );
  });
  test('is refused before the settings were read', () => {
    const { n } = active();
    n.view = null;
    expect(() => withLease({ multiplier: 2 }, n, 'eve')).toThrow('settings were not read yet');
  });
});

test('versions in their order; what is none is older than all', () => {
  for (const [a, b] of [
    ['0.1.9', '0.2.0'],
    ['0.2.0', '0.10.0'],
    ['0.9.9', '1.0.0'],
    ['', '0.0.0'],
    ['x', '0.1.0'],
  ] as const)
    expect([isOlder(a, b), isOlder(b, a)]).toEqual([true, false]);
  expect(isOlder('0.1.0', '0.1.0')).toBe(false);
});

describe('a report', () => {
  test('names the files that say otherwise, and the own', () => {
    const { stage, n } = active({ ...CONFIG, lease: { ...LEASE, leaseDuration: 8000 } });
    const fileTimes = { retryPeriod: 3000, renewDeadline: 12_000, leaseDuration: 18_000, fencingTime: 1500 };
    stage.store.put('state/c', stateRecord('c', { fileTimes }));
    receive(n, stage.store.view());
    const report = leaseReport(n);
    expect(report).toMatchObject({
      source: 'cluster',
      version: 3,
      by: 'start on a',
      others: [{ node: 'c', file: fileTimes }],
    });
    expect(report.note).toContain("not the cluster's (1/4/8 s");
  });
  test('names no file that says what the cluster has by now, though its node said so while they differed', () => {
    const { stage, n } = active();
    const { retryPeriod, renewDeadline, leaseDuration, fencingTime } = LEASE;
    const fileTimes = { retryPeriod, renewDeadline, leaseDuration, fencingTime };
    stage.store.put('state/c', stateRecord('c', { fileTimes }));
    receive(n, stage.store.view());
    expect(leaseReport(n).others).toEqual([]);
  });
  test('of what nobody can use says that the file holds', () => {
    expect(leaseReport(active({ ...CONFIG, lease: 7 }).n)).toMatchObject({
      source: 'file',
      version: null,
      by: null,
    });
  });
});

test("the founder writes its file's times; not such as the cluster would not take", () => {
  const config = (lease: object) =>
    makeConfig({ node_name: 'm1', host_ip: '127.0.0.11', lease } as never, 'test') as NodeConfig;
  expect(foundersLease(config({ preset: 'fast' }), new Date(0)).lease).toEqual({
    retryPeriod: 500,
    renewDeadline: 2000,
    leaseDuration: 3000,
    fencingTime: 700,
    version: 1,
    by: 'start on m1',
    at: '1970-01-01T00:00:00.000Z',
  });
  expect(foundersLease(config({ renew_deadline: '2h', lease_duration: '3h' }), new Date(0))).toEqual({});
});
