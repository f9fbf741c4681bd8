import { afterEach, expect, setDefaultTimeout, test } from 'bun:test';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../../agent/platform/clock.ts';
import {
  eventually,
  hasSyncthing,
  list,
  manifests,
  type Node,
  startNodes,
  text,
} from './syncthing_harness.ts';

setDefaultTimeout(200_000);
const when = test.skipIf(!hasSyncthing);
const MS = 10_000;

let stop: (() => Promise<void>) | undefined;
afterEach(async () => {
  await stop?.();
  stop = undefined;
});

async function cluster(): Promise<[Node, Node, Node]> {
  const started = await startNodes(['127.0.55.4', '127.0.55.5', '127.0.55.6'], { deletion_delay: '1s' });
  stop = started.stop;
  const [one, two, three] = started.nodes as [Node, Node, Node];
  for (const name of ['kept', 'shared', 'doomed']) writeFileSync(join(one.data, name), name);
  await one.files.lead(MS);
  for (const node of [two, three]) await node.files.follow('n1', MS);
  for (const node of [two, three]) expect(await complete(node)).toBe(true);
  return [one, two, three];
}
const complete = (node: Node) => eventually(() => node.files.facts().state === 'complete');
const scanned = async (node: Node, name: string) =>
  await eventually(
    async () =>
      await node
        .rest()
        .get(`db/file?folder=data&file=${name}`, MS)
        .then((answer) => (answer as { local: { name: string } }).local.name === name)
        .catch(() => false),
  );

when('a former active that returns archives what the others never got, then gives way', async () => {
  const [one, two, three] = await cluster();
  for (const node of [two, three]) await node.files.follow(null, MS);
  writeFileSync(join(one.data, 'undelivered'), 'written on the lost active');
  writeFileSync(join(one.data, 'shared'), 'the lost version');
  expect(await scanned(one, 'undelivered')).toBe(true);
  await one.files.stop();
  writeFileSync(join(one.data, 'unscanned'), 'not even Syncthing saw it');

  await two.files.lead(MS);
  await three.files.follow('n2', MS);
  writeFileSync(join(two.data, 'kept'), 'changed by the new active');

  await one.files.start();
  expect(one.files.facts().mode).toBe('receiveonly');
  expect(await one.files.follow('n2', MS)).toEqual({ kind: 'done' });
  expect(one.files.facts().state).toBe('behind');
  expect(await complete(one)).toBe(true);
  for (const node of [one, two, three]) {
    const same = () =>
      list(node.data).join() === 'doomed,kept,shared' && text(node.data, 'shared') === 'shared';
    expect(await eventually(same)).toBe(true);
    expect(await eventually(() => text(node.data, 'kept') === 'changed by the new active')).toBe(true);
  }
  const [saved, ...more] = manifests(one.diverged);
  expect(more).toEqual([]);
  expect(saved?.files.map(({ path, state }) => `${path} ${state}`)).toEqual([
    'shared archived',
    'undelivered archived',
    'unscanned archived',
  ]);
  const dir = join(saved?.dir ?? '', 'files/data');
  expect(text(dir, 'undelivered')).toBe('written on the lost active');
  expect(text(dir, 'unscanned')).toBe('not even Syncthing saw it');
  expect(text(dir, 'shared')).toBe('the lost version');
});

when('a new active reports by name what never arrived, and its own copy counts', async () => {
  const [one, two, three] = await cluster();
  await two.rest().send('PATCH', 'config/options', MS, { maxRecvKbps: 1, limitBandwidthInLan: true });
  writeFileSync(join(one.data, 'large'), Buffer.alloc(600_000, 7));
  expect(await eventually(() => two.files.facts().needItems > 0)).toBe(true);
  expect(two.files.facts()).toMatchObject({ state: 'behind', needItems: 1, needBytes: 600_000 });
  expect(await eventually(() => text(three.data, 'large')?.length === 600_000)).toBe(true);
  await one.kill();
  await one.files.stop();
  expect(await two.files.lead(MS)).toEqual({ kind: 'done' });
  const [report] = manifests(two.diverged);
  expect(report?.files).toMatchObject([{ path: 'large', state: 'missing', bytes: 600_000 }]);
  expect(two.files.facts()).toMatchObject({ state: 'complete', mode: 'sendonly' });
  await two.rest().send('PATCH', 'config/options', MS, { maxRecvKbps: 0 });

  await one.files.start();
  await one.files.follow('n2', MS);
  expect(await complete(one)).toBe(true);
  expect(await eventually(() => text(one.data, 'large') === null)).toBe(true);
  expect(manifests(one.diverged).flatMap(({ files }) => files)).toMatchObject([
    { path: 'large', state: 'archived' },
  ]);
  // n3 had it in full, but follows n2: it gives way there too, and stays in the versions.
  await three.files.follow('n2', MS);
  expect(await eventually(() => text(three.data, 'large') === null)).toBe(true);
  expect(text(three.data, '.stversions/large')?.length).toBe(600_000);
});

when(
  'a former active that wakes up send-only overwrites nothing on the standbys of the new one',
  async () => {
    const [one, two, three] = await cluster();
    await two.files.lead(MS);
    await three.files.follow('n2', MS);
    // n1 has not noticed yet.
    expect(one.files.facts().mode).toBe('sendonly');
    writeFileSync(join(one.data, 'late'), 'by the old active');
    expect(await scanned(one, 'late')).toBe(true);
    writeFileSync(join(two.data, 'right'), 'by the new active');
    expect(await eventually(() => text(three.data, 'right') !== null)).toBe(true);
    expect(text(three.data, 'late')).toBe(null);
    expect(text(two.data, 'late')).toBe(null);
    await one.files.follow('n2', MS);
    expect(await complete(one)).toBe(true);
    expect(await eventually(() => text(one.data, 'late') === null)).toBe(true);
    const saved = manifests(one.diverged)[0];
    expect(text(saved?.dir ?? '', 'files/data/late')).toBe('by the old active');
  },
);

when('what the new active has overruled already is archived too, deletions included', async () => {
  const [one, two, three] = await cluster();
  await two.files.lead(MS);
  await three.files.follow('n2', MS);
  writeFileSync(join(one.data, 'late'), 'by the old active');
  writeFileSync(join(one.data, 'shared'), 'changed by the old active');
  const overruled = () => {
    const [folder] = one.files.status().folders;
    return folder?.needDeletes === 1 && folder.needItems === 1;
  };
  expect(await eventually(overruled, 60_000)).toBe(true);
  await one.files.follow('n2', MS);
  expect(await complete(one)).toBe(true);
  expect(await eventually(() => text(one.data, 'late') === null)).toBe(true);
  expect(text(one.data, 'shared')).toBe('shared');
  const dir = join(manifests(one.diverged)[0]?.dir ?? '', 'files/data');
  expect(text(dir, 'late')).toBe('by the old active');
  expect(text(dir, 'shared')).toBe('changed by the old active');
});

when(
  'Syncthing killed on the active comes back receive-only by itself, and is the active again when told so',
  async () => {
    const [one, two] = await cluster();
    await one.kill();
    expect(await eventually(() => one.files.status().silent !== null)).toBe(true);
    expect(await eventually(() => one.files.status().silent === null)).toBe(true);
    expect(one.log()).toContain('ended by itself');
    expect(await eventually(() => one.files.facts().mode === 'sendonly')).toBe(true);
    writeFileSync(join(one.data, 'after'), 'the crash');
    expect(await eventually(() => text(two.data, 'after') !== null)).toBe(true);

    await one.files.stop();
    await one.files.start();
    expect(one.files.facts().mode).toBe('receiveonly');
    const xml = readFileSync(join(one.config.files.home_dir, 'config.xml'), 'utf8');
    expect(xml).not.toContain('sendonly');
    expect(await one.files.lead(MS)).toEqual({ kind: 'done' });
    expect(one.files.facts().mode).toBe('sendonly');
  },
);

when('an agent that restarts takes up a running Syncthing as it is', async () => {
  const [one, two] = await cluster();
  await one.restartAgent();
  await two.restartAgent();
  // On a busy machine the connection between the two takes a moment to be known of.
  const known = () => [one, two].every(({ files }) => files.facts().state === 'complete');
  expect(await until(known, { timeout: 60_000 })).toBe(true);
  expect(one.files.facts()).toMatchObject({ mode: 'sendonly', state: 'complete' });
  expect(two.files.facts()).toMatchObject({ mode: 'receiveonly', state: 'complete' });
  writeFileSync(join(one.data, 'next'), 'next');
  expect(await eventually(() => text(two.data, 'next') !== null)).toBe(true);
});

when('a removed member is forgotten, and gets nothing any more', async () => {
  const [one, two, three] = await cluster();
  const removed = await three.member();
  await one.files.setMembers([await two.member()]);
  await one.files.setMembers([await two.member()]);
  const devices = (await one.rest().get('config/devices', MS)) as { deviceID: string }[];
  expect(devices.map(({ deviceID }) => deviceID)).not.toContain(removed.deviceId);
  expect(await eventually(() => three.files.status().connected === false)).toBe(true);
  writeFileSync(join(one.data, 'secret'), 'members only');
  expect(await eventually(() => text(two.data, 'secret') !== null)).toBe(true);
  expect(text(three.data, 'secret')).toBe(null);
});

when('a deletion that a standby was about to carry out is carried out before it leads', async () => {
  const [one, two, three] = await cluster();
  rmSync(join(one.data, 'doomed'));
  await one.files.settle('n2', MS);
  await one.files.follow(null, MS);
  const pending = () => two.files.status().folders[0]?.needDeletes === 1 || text(two.data, 'doomed') === null;
  expect(await eventually(pending)).toBe(true);
  await two.files.lead(MS);
  for (const node of [one, three]) await node.files.follow('n2', MS);
  for (const node of [one, two, three]) {
    expect(await eventually(() => node.files.facts().state === 'complete')).toBe(true);
    expect(await eventually(() => text(node.data, 'doomed') === null)).toBe(true);
  }
});

when('what is wiped leaves the replicated files and nothing of the identity', async () => {
  const [, two] = await cluster();
  const before = await two.files.deviceId();
  await two.files.wipe();
  expect(list(two.data)).toEqual(['doomed', 'kept', 'shared']);
  expect(await two.files.deviceId()).not.toBe(before);
});
