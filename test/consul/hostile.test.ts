/**
 * Records that somebody else wrote: what ends up in rules, settings and connection strings is checked as it
 * was at the door.
 */
import { describe, expect, test } from 'bun:test';
import { ConfigError, makeConfig } from '../../agent/config/index.ts';
import type { KvEntry } from '../../agent/consul/port.ts';
import { viewOf } from '../../agent/consul/view.ts';
import type { NodeRecord } from '../../agent/core/records.ts';
import { admitBody, check } from '../../agent/http/schemas.ts';
import { reservationOf } from '../../agent/membership/admit.ts';
import { isThatNode } from '../../agent/membership/member_security.ts';
import { newCommonName } from '../../agent/security/certificates.ts';
import { membershipOf, replicationNames, serviceName } from '../../agent/security/names.ts';

const hex = (length: number): string => 'ab'.repeat(length / 2);
const good = {
  schema: 1 as const,
  hostIp: '10.0.0.2',
  publicIp: 'm2.example.com',
  apiPort: 8700,
  postgresPort: 5432,
  version: '0.2.0',
  options: { priority: 100, nofailover: false, maintenance: false },
  deviceId: 'AAAAAAA-BBBBBBB',
  certificate: { name: 'm2.0123456789ab', fingerprint: hex(64) },
  proof: hex(64),
};
const entries = (values: Record<string, unknown>): KvEntry[] =>
  Object.entries(values).map(([key, value], i) => ({
    key: `p/${key}`,
    value: JSON.stringify(value),
    createIndex: 1,
    modifyIndex: i + 1,
  }));
const read = (values: Record<string, unknown>) => viewOf(entries(values), 'p/', 9, new Map());

/** Not addresses of one manager. */
const ADDRESSES = [
  '0.0.0.0/0',
  '10.0.0.0/8',
  '0.0.0.0',
  '::',
  '0::0',
  '::ffff:0.0.0.0',
  '224.0.0.1',
  '255.255.255.255',
  'ff02::1',
  'fe80::1%eth0',
  '10.0.0.2\n0.0.0.0/0',
  '10.0.0.2 trust',
  "10.0.0.2' user=postgres host='evil",
  '10.0.0.2:5432',
  'm2',
  'http://10.0.0.2',
  '',
];

describe('a record of a node with a hostile value', () => {
  const cases: [string, unknown][] = [
    ...ADDRESSES.map((hostIp): [string, unknown] => ['hostIp', hostIp]),
    ['publicIp', 'm2\nhost all all all trust'],
    ['publicIp', 'x'.repeat(256)],
    ['apiPort', 0],
    ['apiPort', 65_536],
    ['postgresPort', -1],
    ['postgresPort', 54.5],
    ['postgresPort', '5432 sslmode=disable'],
    ['version', '0.2.0 "'],
    ['deviceId', '</device><device id="'],
    ['certificate', { name: 'm2.0123456789ab" postgres\ncloudify_agent "root', fingerprint: hex(64) }],
    ['certificate', { name: "m2.0123456789ab') or true --", fingerprint: hex(64) }],
    ['certificate', { name: '/^.*$', fingerprint: hex(64) }],
    ['certificate', { name: 'all', fingerprint: hex(64) }],
    ['certificate', { name: 'm3.0123456789ab', fingerprint: hex(64) }],
    ['certificate', { name: 'm2.0123456789ab', fingerprint: 'any' }],
    ['proof', ''],
  ];
  test.each(cases)('%s %j: is named, and nobody is let in by it', (field, value) => {
    const view = read({
      'nodes/m1': { ...good, certificate: undefined },
      'nodes/m2': { ...good, [field]: value },
    });
    expect(Object.keys(view.unreadable ?? {})).toEqual(['nodes/m2']);
    expect(view.unreadable?.['nodes/m2']).toMatch(new RegExp(`^${field}[.:]`));
    // Still a member, with nothing but its name.
    expect(view.nodes.m2).toMatchObject({ hostIp: '', apiPort: 0 });
    expect(replicationNames(view.nodes)).toEqual([]);
    const joining = read({ 'joining/m2': { schema: 1, at: '', node: { ...good, [field]: value } } });
    expect(Object.keys(joining.unreadable ?? {})).toEqual(['joining/m2']);
    expect(joining.joining).toBeUndefined();
  });

  test('what stood there before, and was understood, goes on', () => {
    const cache = new Map();
    viewOf(entries({ 'nodes/m2': good }), 'p/', 9, cache);
    const later = entries({ 'nodes/m2': { ...good, hostIp: '0.0.0.0/0' } }).map((e) => ({
      ...e,
      modifyIndex: 8,
    }));
    const view = viewOf(later, 'p/', 9, cache);
    expect(view.nodes.m2?.hostIp).toBe('10.0.0.2');
    expect(view.unreadable?.['nodes/m2']).toContain('hostIp');
  });

  test('one that is being removed may have nothing but its name', () => {
    const unknown = { ...good, hostIp: '', apiPort: 0, postgresPort: 0, version: '', leaving: true };
    expect(read({ 'nodes/m2': unknown }).unreadable).toBeUndefined();
  });
});

describe('a name that no node can have', () => {
  test.each(['', '..', 'a/b', 'm2"', "m2'; drop", 'm2\nm3', 'x'.repeat(51), '-m2'])('%j', (name) => {
    const view = read({
      [`nodes/${name}`]: { ...good, certificate: undefined },
      [`joining/${name}`]: { schema: 1, at: '', node: good },
      [`state/${name}`]: {},
      [`removed/${name}`]: {},
    });
    expect([view.nodes, view.states, view.removed, view.joining]).toEqual([{}, {}, [], undefined]);
    const named = Object.keys(view.unreadable ?? {});
    expect(named).toHaveLength(4);
    expect(named.every((key) => /^[\x20-\x7e]+$/.test(key))).toBe(true);
  });
});

describe('names in other records', () => {
  const lease = {
    ...{ schema: 1, holder: 'm1', instance: 'boot/1', epoch: 1, seq: 1, reason: '', from: null },
    ...{ clean: null, closedForMs: null },
  };
  const sync = { schema: 1, leader: 'm1', epoch: 1, timeline: 1, history: [], k: 1 };
  const voter = { node: 'm2', clone: '01234567' };
  test.each([
    ['next_master', { ...lease, holder: 'm1"' }],
    ['next_master', { ...lease, instance: 'a\nb' }],
    ['next_master', { ...lease, from: '../m1' }],
    ['sync', { ...sync, leader: 'm1 ', voters: [] }],
    ['sync', { ...sync, voters: [{ ...voter, node: 'm2", "m3' }] }],
    ['sync', { ...sync, voters: [{ ...voter, clone: '*' }] }],
    ['active', { schema: 1, node: 'm1', epoch: 1, hostIp: '0.0.0.0', timeline: 1, since: '' }],
    ['gossip', { schema: 1, key: '"}' }],
  ])('%s %j is not understood', (key, value) => {
    const view = read({ [key]: value });
    expect(Object.keys(view.unreadable ?? {})).toEqual([key]);
    expect([view.lease, view.sync, view.active]).toEqual([null, null, null]);
  });
  test('as they are written they are', () => {
    const view = read({
      next_master: lease,
      sync: { ...sync, voters: [voter] },
      active: { schema: 1, node: 'm1', epoch: 1, hostIp: '', timeline: 1, since: '' },
      'nodes/m2': good,
    });
    expect(view.unreadable).toBeUndefined();
    expect(view.nodes.m2).toEqual(good);
  });
});

describe('who calls as a member of whom nothing can be read', () => {
  const partsOf = (tls: boolean) => ({ config: { api: { tls } } }) as Parameters<typeof isThatNode>[0];
  const view = read({ 'nodes/m2': { ...good, deviceId: 'of a newer version' } });
  const caller = { node: 'm2', proof: hex(64) };
  test('is not that member: an enrolment gives the authority its key', () => {
    expect(view.unreadable).toBeDefined();
    const record = view.nodes.m2 as NodeRecord;
    for (const one of [undefined, caller, { node: 'm9', proof: 'x' }])
      expect(isThatNode(partsOf(true), one, 'm2', record)).toBe(false);
  });
  test('in a plain cluster nobody has a proof; what has one is held against it', () => {
    expect(isThatNode(partsOf(false), undefined, 'm2', { ...good, proof: undefined })).toBe(true);
    for (const tls of [true, false]) {
      expect(isThatNode(partsOf(tls), caller, 'm2', good)).toBe(true);
      expect(isThatNode(partsOf(tls), { ...caller, proof: 'x' }, 'm2', good)).toBe(false);
      expect(isThatNode(partsOf(tls), { ...caller, node: 'm3' }, 'm2', good)).toBe(false);
    }
  });
});

describe('certificates of a node with a long name', () => {
  const hexes = '0123456789ab';
  const long = `m-${'x'.repeat(44)}-_-2`;
  const names = [
    ...['m2', long, `${'a'.repeat(41)}-${'b'.repeat(8)}`].flatMap((node) => [
      [node, newCommonName(node)],
      [node, `${node}.${hexes}`],
    ]),
    // One of before, cut when it got its service's name.
    [long, membershipOf(serviceName('agent', `${long}.${hexes}`))],
    [`abcd--${'x'.repeat(44)}`, membershipOf(serviceName('agent', `abcd--${'x'.repeat(44)}.${hexes}`))],
  ] as [string, string][];
  test.each(names)('%s: %s is its own', (node, name) => {
    const view = read({ [`nodes/${node}`]: { ...good, certificate: { name, fingerprint: hex(64) } } });
    expect(view.unreadable).toBeUndefined();
    expect(view.nodes[node]?.hostIp).toBe(good.hostIp);
  });
  test('and of nobody else, whose name it only begins or ends', () => {
    for (const node of [`${long}x`.slice(-50), 'x-2', '2', 'm'])
      expect(
        read({
          [`nodes/${node}`]: { ...good, certificate: { name: `${long}.${hexes}`, fingerprint: hex(64) } },
        }).unreadable,
      ).toBeDefined();
  });
});

describe('at the door the same holds', () => {
  const asked = {
    ...{ nodeName: 'm2', hostIp: '10.0.0.2', publicIp: null, apiPort: 8700, postgresPort: 5432 },
    ...{ version: '0.2.0', priority: 100, nofailover: false },
    lease: { retryPeriod: 1000, renewDeadline: 4000, leaseDuration: 6000 },
  };
  test('what is admitted is read back', () => {
    for (const hostIp of ['10.0.0.2', '127.0.0.11', '2001:db8::2', '::1']) {
      const request = check(admitBody, { ...asked, hostIp, deviceId: 'ABC-DEF' }, 'it');
      const record = reservationOf(request as never, {
        certificate: { name: newCommonName('m2'), fingerprint: hex(64) },
        proof: hex(64),
      });
      const view = read({ 'joining/m2': record, 'nodes/m2': record.node });
      expect(view.unreadable).toBeUndefined();
      expect(view.nodes.m2?.hostIp).toBe(hostIp);
    }
  });
  test.each(ADDRESSES)('%j is no address: not admitted, and not in a configuration', (hostIp) => {
    expect(() => check(admitBody, { ...asked, hostIp }, 'it')).toThrow('hostIp');
    expect(() => makeConfig({ host_ip: hostIp })).toThrow(ConfigError);
  });
});
