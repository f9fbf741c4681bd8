/** Names of certificates, and how a cluster comes from one name per node to one per service. */
import { describe, expect, test } from 'bun:test';
import type { NodeConfig } from '../../agent/config/index.ts';
import type { StateRecord } from '../../agent/core/records.ts';
import type { Logger } from '../../agent/log/log.ts';
import { newCommonName } from '../../agent/security/certificates.ts';
import {
  type everybodyKnows,
  hasOwnName,
  membershipOf,
  renamingDue,
  replicationNames,
  serviceName,
  withState,
} from '../../agent/security/names.ts';
import { renewIfDue } from '../../agent/security/renew.ts';
import type { Security } from '../../agent/security/store.ts';
import { durable, nodeRecord, stateRecord } from '../core/build.ts';

const record = (node: string, services?: true) => ({
  ...nodeRecord(node),
  certificate: { name: `${node}.0a0a0a0a0a0a`, fingerprint: '', ...(services && { services }) },
});
const nodes = { a: record('a'), b: record('b') };
const states = (a?: StateRecord['certificates'], b?: StateRecord['certificates']) => ({
  a: stateRecord('a', { certificates: a }),
  b: stateRecord('b', { certificates: b }),
});

describe('a name', () => {
  test('says the service and the membership, and fits into a certificate however long the node is called', () => {
    for (const node of ['m1', 'postgres', 'n'.repeat(50), `${'n'.repeat(41)}-${'n'.repeat(8)}`]) {
      const membership = newCommonName(node);
      expect(membership).toMatch(/^[a-z0-9](?:[a-z0-9_-]{0,48}[a-z0-9])?\.[a-f0-9]{12}$/);
      expect(hasOwnName(membership)).toBe(false);
      for (const service of ['agent', 'consul', 'postgres'] as const) {
        const name = serviceName(service, membership);
        expect([name.length <= 64, hasOwnName(name), membershipOf(name)]).toEqual([true, true, membership]);
      }
    }
    expect(serviceName('postgres', 'm1.0a0a0a0a0a0a')).toBe('postgres.m1.0a0a0a0a0a0a');
  });

  test('of a membership from before, too long for a service before it, comes out the same from its record and from a certificate', () => {
    const membership = `${'n'.repeat(50)}.0a0a0a0a0a0a`;
    const again = membershipOf(serviceName('agent', membership));
    expect(serviceName('postgres', again)).toBe(serviceName('postgres', membership));
  });
});

describe('PostgreSQL lets in', () => {
  test("by the service's name, and by the shared one while the node has not said that it uses it no more", () => {
    const now = (a?: StateRecord['certificates']) => replicationNames({ a: withState(nodes.a, states(a).a) });
    expect(now()).toEqual(['a.0a0a0a0a0a0a', 'postgres.a.0a0a0a0a0a0a']);
    expect(now('shared')).toEqual(now());
    expect(now('own')).toEqual(['postgres.a.0a0a0a0a0a0a']);
    expect(replicationNames({ b: record('b', true) })).toEqual(['postgres.b.0a0a0a0a0a0a']);
    expect(replicationNames({ c: nodeRecord('c') })).toEqual([]);
  });
});

describe('a node renews for its own names', () => {
  const own = (services?: true) =>
    ({ ca: { key: 'k' }, certificate: record('a', services).certificate }) as unknown as Security;
  const due = (
    view: Parameters<typeof everybodyKnows>[0],
    security = own(),
    shown: StateRecord['certificates'] = 'shared',
    over = {},
  ) =>
    renamingDue(
      { view: view as never, copy: { durable: durable('a'), wants: 'nothing', task: null, ...over } },
      { current: () => security, inPostgres: () => shown },
    );

  test('once every member has said that it lets them in, and not before', () => {
    expect(due({ nodes, states: states('shared', 'shared') })).toBe(true);
    expect(due({ nodes, states: states('shared', 'own') })).toBe(true);
    expect(due({ nodes, states: states('shared') })).toBe(false);
    const { a } = states('shared');
    expect(due({ nodes, states: { a } })).toBe(false);
    expect(due({ nodes: {}, states: {} })).toBe(false);
    expect(due(null)).toBe(false);
  });

  test('not while its database is copied, not without the key of the authority, and not twice', () => {
    const view = { nodes, states: states('own', 'own') };
    expect(due(view, own(true), 'own')).toBe(false);
    expect(due(view, own(true), 'shared')).toBe(true);
    expect(due(view, own(), 'shared', { task: { what: 'reclone', from: 'b', began: 0 } })).toBe(false);
    const rebuilding = { ...durable('a'), rebuilding: 'rewind' as const };
    expect(due(view, own(), 'shared', { durable: rebuilding })).toBe(false);
    expect(due(view, { ...own(), ca: { certificate: '', key: '' } })).toBe(false);
  });
});

test('the timer renews for them at once, however long the certificates hold', async () => {
  const config = { api: { tls: true }, paths: { ssl_dir: '/nonexistent' } } as NodeConfig;
  let wanted = true;
  let renewed = 0;
  const look = () =>
    renewIfDue({
      config: () => config,
      renaming: () => wanted,
      renew: async () => {
        renewed++;
        return [];
      },
      log: { info() {}, warn() {}, error() {}, debug() {} } as unknown as Logger,
      wall: () => 0,
    });
  expect([await look(), renewed]).toEqual([true, 1]);
  wanted = false;
  expect([await look(), renewed]).toEqual([false, 1]);
});
