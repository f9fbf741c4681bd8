import { expect, test } from 'bun:test';
import { makeConfig, requireNode } from '../../agent/config/index.ts';
import type { NodeRecord, View } from '../../agent/core/records.ts';
import { type OwnRecordParts, ownRecord } from '../../agent/node/own_record.ts';
import { version } from '../../agent/version.ts';
import { FakeConsul } from '../fakes/consul.ts';

const KEY = 'cloudify/cluster/nodes/m1';
const config = requireNode(
  makeConfig({
    node_name: 'm1',
    host_ip: '127.0.0.11',
    driver: 'child',
    api: { tls: false },
    consul: { mode: 'external' },
    postgres: { bin_dir: '/nowhere' },
    files: { folders: [{ id: 'etc', path: '/srv/etc' }] },
  }),
);
const founded: NodeRecord = {
  schema: 1,
  hostIp: '127.0.0.11',
  publicIp: null,
  apiPort: 8700,
  postgresPort: 5432,
  version: '0.0.1',
  options: { priority: 7, nofailover: true, maintenance: false },
  proof: 'ab'.repeat(32),
};

async function stage(record: object | null, more: Partial<View> = {}) {
  const { kv, faults } = new FakeConsul().client();
  if (record !== null) await kv.put(KEY, JSON.stringify(record));
  const world = {
    device: 'DEVICE-ONE' as string | Error,
    view: {
      nodes: record === null ? {} : { m1: record as NodeRecord },
      removed: [],
      ...more,
    } as unknown as View | null,
    certificate: undefined as { name: string; fingerprint: string; services?: boolean } | undefined,
    shown: undefined as 'own' | 'shared' | undefined,
    roots: undefined as object | undefined,
    sorting: undefined as { libc?: string; icu?: string } | undefined,
    puts: 0,
  };
  const files = {
    enabled: true,
    deviceId: async () => {
      if (world.device instanceof Error) throw world.device;
      return world.device;
    },
  };
  const security = {
    current: () => world.certificate && { certificate: world.certificate, ca: { key: 'held' } },
    inPostgres: () => world.shown,
    report: () => world.roots,
  };
  const pg = { inspect: async () => (world.sorting === undefined ? {} : { collations: world.sorting }) };
  const said: string[] = [];
  const keep = ownRecord({
    parts: { config, files, security, pg } as unknown as OwnRecordParts['parts'],
    kv: {
      get: (key, options) => kv.get(key, options),
      put(key, value, options) {
        world.puts += 1;
        return kv.put(key, value, options);
      },
    },
    records: { sign: (_place, _name, record) => record, isOurs: () => true, refusal: () => undefined },
    view: () => world.view,
    name: 'm1',
    say: (line) => said.push(line),
  });
  const read = async (): Promise<Record<string, unknown> | null> => {
    const found = await kv.get(KEY);
    return found.kind === 'ok' ? JSON.parse(found.entry.value) : null;
  };
  const see = async () => {
    world.view = { nodes: { m1: (await read()) as unknown as NodeRecord }, removed: [] } as unknown as View;
  };
  return { world, kv, faults, said, keep, read, see };
}

test('a founder that got files later tells its device id, and its version after an upgrade; what others decide stays', async () => {
  const { keep, read, said, see, world } = await stage({ ...founded, ofANewerVersion: { kept: true } });
  expect(await keep()).toBe(true);
  expect(await read()).toMatchObject({
    deviceId: 'DEVICE-ONE',
    version,
    options: founded.options,
    proof: 'ab'.repeat(32),
    ofANewerVersion: { kept: true },
    settings: { folders: ['etc'] },
  });
  expect(said).toEqual([expect.stringContaining('version, deviceId, settings')]);
  await see();
  for (let n = 0; n < 3; n++) expect(await keep()).toBe(true);
  expect(world.puts).toBe(1);
});

test('what the server sorts by is told once it answers, and stays as it was told while an agent started anew has no answer', async () => {
  const first = await stage({ ...founded });
  const versions = async (of = first): Promise<string[]> => [
    ...(JSON.stringify((await of.read())?.settings).match(/collations of \w+ [\d.]+/g) ?? []),
  ];
  await first.keep();
  expect(await versions()).toEqual([]);
  await first.see();
  first.world.sorting = { libc: '2.36', icu: '153.112' };
  await first.keep();
  const told = ['collations of libc 2.36', 'collations of icu 153.112'];
  expect(await versions()).toEqual(told);
  const again = await stage((await first.read()) as object);
  await again.keep();
  expect([await versions(again), again.world.puts]).toEqual([told, 0]);
});

test('a renewed certificate and a new identity of Syncthing are told; an id that cannot be made now stays as it is', async () => {
  const { keep, read, see, world } = await stage({ ...founded, deviceId: 'OLD' });
  world.device = new Error('there is no syncthing executable');
  world.certificate = { name: 'm1.0123456789ab', fingerprint: 'ff'.repeat(32) };
  world.shown = 'shared';
  await keep();
  expect(await read()).toMatchObject({ deviceId: 'OLD', certificate: { fingerprint: 'ff'.repeat(32) } });
  await see();
  world.device = 'NEW';
  await keep();
  expect((await read())?.deviceId).toBe('NEW');
});

test('names per service are told once the database shows them: by the old name it is let in until then', async () => {
  const { keep, read, world, see } = await stage({ ...founded });
  world.certificate = { name: 'm1.0123456789ab', fingerprint: 'ff'.repeat(32), services: true };
  for (const shown of [undefined, 'shared'] as const) {
    world.shown = shown;
    await keep();
    expect((await read())?.certificate).toBeUndefined();
    await see();
  }
  world.shown = 'own';
  await keep();
  expect(await read()).toMatchObject({ certificate: world.certificate });
});

test('a node that is being removed, or was, does not come back by its own record', async () => {
  const gone = await stage({ ...founded });
  await gone.kv.delete(KEY);
  expect(await gone.keep()).toBe(false);
  expect(await gone.read()).toBe(null);
  const leaving = await stage({ ...founded, leaving: true });
  expect(await leaving.keep()).toBe(false);
  expect(leaving.world.puts).toBe(0);
  // The view is older than the word of the active.
  const late = await stage({ ...founded });
  await late.kv.put(KEY, JSON.stringify({ ...founded, leaving: true }));
  expect(await late.keep()).toBe(false);
  expect(late.world.puts).toBe(0);
});

test('removed between the look and the write: the write changes nothing', async () => {
  const { keep, kv, read, world } = await stage({ ...founded });
  const get = kv.get.bind(kv);
  kv.get = async (key, options) => {
    const found = await get(key, options);
    kv.get = get;
    await kv.delete(KEY);
    return found;
  };
  expect(await keep()).toBe(false);
  expect(world.puts).toBe(1);
  expect(await read()).toBe(null);
});

test('a record that is not understood is left alone', async () => {
  const { keep, world } = await stage({ ...founded }, { unreadable: { 'nodes/m1': 'schema' } });
  expect(await keep()).toBe(false);
  expect(world.puts).toBe(0);
  const newer = await stage({ ...founded });
  await newer.kv.put(KEY, JSON.stringify({ ...founded, schema: 2 }));
  expect(await newer.keep()).toBe(false);
  expect(newer.world.puts).toBe(0);
});
