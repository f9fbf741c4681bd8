import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { agreed } from '../fixtures/s_client.ts';
import {
  eventually,
  hasSyncthing,
  list,
  manifests,
  type Node,
  startNodes,
  text,
} from './syncthing_harness.ts';

setDefaultTimeout(90_000);
const when = test.skipIf(!hasSyncthing);
const MS = 10_000;

let nodes: Node[];
let stop: () => Promise<void>;
beforeAll(async () => {
  if (!hasSyncthing) return;
  ({ nodes, stop } = await startNodes(['127.0.55.1', '127.0.55.2', '127.0.55.3'], {
    deletion_delay: '1s',
    mass_deletion: { items: 10, percent: 50 },
  }));
});
afterAll(async () => await stop?.());

const [one, two, three] = [() => nodes[0]!, () => nodes[1]!, () => nodes[2]!];
const complete = (node: Node) => eventually(() => node.files.facts().state === 'complete');

when('before anybody leads, every node is receive-only and talks to nobody', async () => {
  writeFileSync(join(one().data, 'early'), 'early');
  for (const node of nodes)
    expect(node.files.facts()).toMatchObject({ mode: 'receiveonly', state: 'unknown' });
  const options = (await one().rest().get('config/options', MS)) as Record<string, unknown>;
  expect(options).toMatchObject({
    globalAnnounceEnabled: false,
    localAnnounceEnabled: false,
    relaysEnabled: false,
    natEnabled: false,
    crashReportingEnabled: false,
    urAccepted: -1,
    listenAddresses: ['tcp://127.0.55.1:22000'],
  });
  expect(list(two().data)).toEqual([]);
});

when('members agree on TLS 1.3 alone', async () => {
  const target = '127.0.55.1:22000';
  expect(await agreed(target, ['-tls1_3', '-alpn', 'bep/1.0'])).toStartWith('TLS_');
  for (const args of [
    ['-tls1_2'],
    ['-tls1_2', '-cipher', 'ALL:@SECLEVEL=0'],
    ['-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'],
  ])
    expect(await agreed(target, args)).toBe('refused');
});

when('without the key nobody is let in, with or without a password', async () => {
  const base = 'https://127.0.55.1:8384';
  const shown = readFileSync(join(one().config.files.home_dir, 'https-cert.pem'), 'utf8');
  const anybody = { tls: { ca: shown, rejectUnauthorized: false } };
  expect((await fetch(`${base}/`, anybody)).status).toBe(401);
  const headers = { Authorization: `Basic ${btoa('agent:-')}` };
  expect((await fetch(`${base}/rest/config`, { ...anybody, headers })).status).toBe(401);
  expect(statSync(join(one().config.paths.state_dir, 'syncthing.json')).mode & 0o777).toBe(0o600);
  expect(statSync(join(one().config.files.home_dir, 'key.pem')).mode & 0o777).toBe(0o640);
});

when(
  'what the active has, its standbys get: links, modes, empty folders and odd names, but nothing ignored',
  async () => {
    const { data } = one();
    mkdirSync(join(data, 'empty'));
    symlinkSync('early', join(data, 'link'));
    writeFileSync(join(data, 'söme näme 文'), 'x');
    writeFileSync(join(data, 'secret'), 's');
    chmodSync(join(data, 'secret'), 0o600);
    writeFileSync(join(data, 'a.skip'), 'ignored');
    for (let n = 0; n < 30; n++) writeFileSync(join(data, `file${n}`), `content ${n}`);
    expect(await one().files.lead(MS)).toEqual({ kind: 'done' });
    expect(one().files.facts()).toMatchObject({ mode: 'sendonly', state: 'complete' });
    for (const node of [two(), three()]) expect(await node.files.follow('n1', MS)).toEqual({ kind: 'done' });
    expect(await complete(two())).toBe(true);
    expect(await complete(three())).toBe(true);
    const expected = list(data).filter((name) => name !== 'a.skip');
    expect(list(two().data)).toEqual(expected);
    expect(list(three().data)).toEqual(expected);
    expect(statSync(join(two().data, 'secret')).mode & 0o777).toBe(0o600);
  },
);

when('a change on a standby is archived with its content, and reverted', async () => {
  writeFileSync(join(two().data, 'file1'), 'changed on the standby');
  writeFileSync(join(two().data, 'extra'), 'only here');
  symlinkSync('nowhere', join(two().data, 'strayed'));
  rmSync(join(two().data, 'file2'));
  rmSync(join(two().data, 'empty'), { recursive: true });
  writeFileSync(join(two().data, 'empty'), 'a file where a folder was');
  const expected = list(one().data).filter((name) => name !== 'a.skip');
  const back = () => list(two().data).join() === expected.join() && text(two().data, 'file1') === 'content 1';
  expect(await eventually(back)).toBe(true);
  expect(await complete(two())).toBe(true);
  expect(statSync(join(two().data, 'empty')).isDirectory()).toBe(true);
  const saved = manifests(two().diverged).flatMap(({ dir, files }) =>
    files.map((file) => ({ dir, ...file })),
  );
  const of = (path: string) => saved.find((file) => file.path === path && file.state === 'archived');
  expect(text(of('file1')?.dir ?? '', 'files/data/file1')).toBe('changed on the standby');
  expect(text(of('extra')?.dir ?? '', 'files/data/extra')).toBe('only here');
  expect(of('strayed')?.target).toBe('nowhere');
  expect(saved.some((file) => file.path === 'file2' && file.state === 'deleted')).toBe(true);
});

when('a local change that no revert takes away is told, not reverted for ever', async () => {
  const dir = join(two().data, 'stays');
  mkdirSync(dir);
  // Syncthing deletes no folder that holds what is ignored.
  writeFileSync(join(dir, 'own.skip'), 'ignored');
  expect(await eventually(() => two().files.facts().errors > 0)).toBe(true);
  expect(two().files.facts().state).toBe('behind');
  expect(two().files.status().notes.join()).toContain(
    '1 local changes in folder data remain after reverting',
  );
  const archives = manifests(two().diverged).length;
  rmSync(dir, { recursive: true });
  expect(await complete(two())).toBe(true);
  expect(two().files.facts().errors).toBe(0);
  expect(manifests(two().diverged).length).toBe(archives);
});

when('a few deletions on the active reach the standbys', async () => {
  rmSync(join(one().data, 'file3'));
  expect(await eventually(() => text(two().data, 'file3') === null)).toBe(true);
  expect(await eventually(() => text(three().data, 'file3') === null)).toBe(true);
});

when('a mass deletion on the active is held on the standbys until it is confirmed', async () => {
  for (let n = 5; n < 30; n++) rmSync(join(one().data, `file${n}`));
  expect(await eventually(() => two().files.status().held.length === 1)).toBe(true);
  expect(two().files.status().held).toEqual([{ folder: 'data', deletions: 25, of: expect.any(Number) }]);
  expect(two().files.facts().state).toBe('behind');
  expect(text(two().data, 'file29')).toBe('content 29');
  expect(await two().files.accept(MS)).toBe(25);
  expect(text(two().data, 'file29')).toBe(null);
  expect(text(two().data, '.stversions/file29')).toBe('content 29');
  expect(await complete(two())).toBe(true);
  expect(text(three().data, 'file29')).toBe('content 29');
  expect(await three().files.accept(MS)).toBe(25);
});

when(
  'switchover: once settled, the target has all, and roles change without a restart of Syncthing',
  async () => {
    const pids = async () =>
      await Promise.all(nodes.map(async (node) => (await node.driver.status({ name: 'syncthing' })).pid));
    const before = await pids();
    writeFileSync(join(one().data, 'last'), 'written just before');
    expect(await one().files.settle('n2', MS)).toEqual({ kind: 'done' });
    expect(text(two().data, 'last')).toBe('written just before');
    await one().files.follow(null, MS);
    expect(one().files.facts().mode).toBe('receiveonly');
    await two().files.lead(MS);
    await Promise.all([one().files.follow('n2', MS), three().files.follow('n2', MS)]);
    writeFileSync(join(two().data, 'fresh'), 'from the new active');
    expect(await eventually(() => text(one().data, 'fresh') !== null)).toBe(true);
    expect(await eventually(() => text(three().data, 'fresh') !== null)).toBe(true);
    expect(await complete(one())).toBe(true);
    expect(manifests(one().diverged)).toEqual([]);
    expect(await pids()).toEqual(before);
  },
);

when('settle says what the target lacks, when it cannot have it in time', async () => {
  await three().files.follow(null, MS);
  expect(await eventually(async () => (await two().files.settle('n3', 1_000)).kind === 'failed')).toBe(true);
  await three().files.follow('n2', MS);
  expect(await complete(three())).toBe(true);
});
