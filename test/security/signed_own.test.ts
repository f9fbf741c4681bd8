/**
 * A node whose record somebody wrote over in Consul: it signs it anew, from its own files, and takes nothing
 * over that opens a door.
 */
import { beforeAll, beforeEach, expect, test } from 'bun:test';
import { makeConfig, requireNode } from '../../agent/config/index.ts';
import type { ConsulKv } from '../../agent/consul/port.ts';
import { type OwnRecordParts, ownRecord } from '../../agent/node/own_record.ts';
import { type Ca, createCa } from '../../agent/platform/tls/ca.ts';
import type { Security } from '../../agent/security/store.ts';
import { FakeConsul } from '../fakes/consul.ts';
import { type Member, member, nodeOf, PREFIX, securityWith, stateOf } from '../fixtures/signed.ts';

const KEY = `${PREFIX}nodes/m2`;
const config = requireNode(
  makeConfig({
    node_name: 'm2',
    host_ip: '10.0.0.12',
    driver: 'child',
    consul: { mode: 'external' },
    postgres: { bin_dir: '/nowhere' },
  }),
);
let ca: Ca;
let kv: ConsulKv;
let one: Member;

beforeAll(async () => {
  ca = await createCa('one');
});
beforeEach(async () => {
  kv = new FakeConsul().client().kv;
  one = member(kv, securityWith(ca, [ca.certificate]));
  for (const [name, host] of [
    ['m1', 11],
    ['m2', 12],
  ] as const) {
    await kv.put(`${PREFIX}nodes/${name}`, JSON.stringify(nodeOf(name, host)));
    await kv.put(`${PREFIX}state/${name}`, JSON.stringify(stateOf(true)));
  }
  await one.keep();
  await one.view();
  expect(one.records.demanded()).toBe(true);
});

const { certificate, proof = '' } = nodeOf('m2');
/** Its own agent; `noDevice`: Syncthing's program is gone, so its id is not known now. */
async function keeps(at: Member, more: Partial<Security> = {}, shown: 'own' | undefined = 'own') {
  const seen = await at.view();
  const security = {
    current: () => ({ ...at.security, ...(certificate && { certificate }), proof, ...more }),
    inPostgres: () => shown,
    report: () => undefined,
  };
  const files = { enabled: false };
  const pg = { inspect: async () => ({}) };
  return ownRecord({
    parts: { config, files, security, pg } as unknown as OwnRecordParts['parts'],
    kv,
    records: at.records,
    view: () => seen,
    name: 'm2',
    say: () => {},
  })();
}
const read = async () => {
  const found = await kv.get(KEY);
  return found.kind === 'ok' ? JSON.parse(found.entry.value) : null;
};

test.each(['own', undefined] as const)(
  'it is put right: nothing of the thief in it (PostgreSQL shows %p)',
  async (shown) => {
    const stolen = {
      hostIp: '10.0.0.66',
      apiPort: 1,
      postgresPort: 2,
      proof: 'ee'.repeat(32),
      deviceId: 'EVIL',
      leaving: true,
      certificate: { name: 'm2.ba9876543210', fingerprint: 'ab'.repeat(32) },
    };
    const options = { priority: 7, nofailover: true, maintenance: false };
    await kv.put(KEY, JSON.stringify({ ...(await read()), ...stolen, options }));
    // Also right after its own restart, when all that it knows of its record is that it is a member.
    expect(await keeps(one.restarted(), {}, shown)).toBe(true);
    const record = await read();
    for (const [field, value] of Object.entries(stolen)) expect(record[field]).not.toEqual(value);
    expect(record).toMatchObject({
      hostIp: '10.0.0.12',
      proof,
      options,
      certificate: { name: certificate?.name },
    });
    const view = await one.view();
    expect([view.unreadable, view.nodes.m2?.hostIp]).toEqual([undefined, '10.0.0.12']);
  },
);

test('what is right and signed is left alone, what an earlier authority signed is not', async () => {
  expect(await keeps(one)).toBe(true);
  const { signed } = await read();
  expect(await keeps(one)).toBe(true);
  expect((await read()).signed).toEqual(signed);
  const next = await createCa('next');
  one.security = securityWith(next, [ca.certificate, next.certificate]);
  expect(await keeps(one)).toBe(true);
  expect((await read()).signed.issued).toBeGreaterThan(signed.issued);
  one.security = securityWith(next, [next.certificate]);
  expect(Object.keys((await one.view()).unreadable ?? {})).toEqual(['nodes/m1']);
});

test('nothing is signed by a node that is leaving, was removed, or has no key', async () => {
  const record = one.records.sign('nodes', 'm2', { ...nodeOf('m2', 12), leaving: true });
  await kv.put(KEY, JSON.stringify(record));
  expect([await keeps(one), (await read()).leaving]).toEqual([false, true]);
  await kv.put(KEY, JSON.stringify({ ...nodeOf('m2', 66) }));
  expect(await keeps(one, { ca: { certificate: ca.certificate, key: '' } })).toBe(false);
  await kv.put(`${PREFIX}removed/m2`, '{}');
  expect(await keeps(one)).toBe(false);
  await kv.delete(KEY);
  await kv.put(`${PREFIX}removed/m2`, JSON.stringify(one.records.sign('removed', 'm2', { schema: 1 })));
  await one.view();
  await kv.put(KEY, JSON.stringify(nodeOf('m2', 12)));
  for (const gone of [`${PREFIX}removed/m2`, `${PREFIX}removed/none`]) {
    expect([await keeps(one), (await read()).signed]).toEqual([false, undefined]);
    await kv.delete(gone);
  }
});
