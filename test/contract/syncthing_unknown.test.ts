import { afterEach, expect, setDefaultTimeout, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { filesync } from '../../agent/checks/filesync.ts';
import { syncthingUnit } from '../../agent/roles/files/index.ts';
import { eventually, hasSyncthing, introduce, type Node, startNodes, text } from './syncthing_harness.ts';

setDefaultTimeout(200_000);
const when = test.skipIf(!hasSyncthing);
const MS = 10_000;

let stop: (() => Promise<void>) | undefined;
afterEach(async () => {
  await stop?.();
  stop = undefined;
});

const checkOf = (node: Node) =>
  filesync(node.files, {
    now: () => performance.now(),
    wall: () => new Date(),
    ttl: 500,
    role: () => 'standby',
  });

when('a standby that does not know the device of the active fails its check, until it does', async () => {
  const started = await startNodes(['127.0.55.7', '127.0.55.8']);
  stop = started.stop;
  const [one, two] = started.nodes as [Node, Node];
  for (const node of [one, two]) await node.files.setMembers([]);
  writeFileSync(join(one.data, 'only'), 'on the active');
  await one.files.lead(MS);
  const why = "Syncthing's id of n1 is not known (is file replication switched on there?)";
  expect(await two.files.follow('n1', MS)).toEqual({ kind: 'failed', why });
  expect(two.files.status()).toMatchObject({ connected: null, notes: [why] });
  const check = checkOf(two);
  const run = () => check.run({ ms: MS, signal: new AbortController().signal });
  expect(await eventually(async () => (await run()).verdict === 'fail')).toBe(true);
  expect((await run()).output).toStartWith(`receives no files from the active: ${why}, since `);

  await introduce([one, two]);
  expect(await two.files.follow('n1', MS)).toEqual({ kind: 'done' });
  expect(await eventually(() => text(two.data, 'only') === 'on the active')).toBe(true);
  expect(await eventually(async () => (await run()).output === 'complete')).toBe(true);

  // Nobody is heard any more: that is no news for a moment only.
  await one.files.stop();
  expect(await eventually(async () => (await run()).verdict === 'fail')).toBe(true);
  expect((await run()).output).toStartWith('no connection to the active, since ');
});

when('members that become known while Syncthing does not answer are told to it once it does', async () => {
  const started = await startNodes(['127.0.55.7', '127.0.55.8']);
  stop = started.stop;
  const [one, two] = started.nodes as [Node, Node];
  for (const node of [one, two]) await node.files.setMembers([]);
  await one.files.lead(MS);
  const { pid } = await one.driver.status(syncthingUnit(one.config));
  if (pid === undefined) throw new Error('no Syncthing runs');
  process.kill(pid, 'SIGSTOP');
  try {
    // Longer than it takes to see that there is no answer, shorter than any other question to it waits for
    // one.
    await Promise.race([introduce([one, two]), Bun.sleep(1_500)]);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  const { deviceId } = await two.member();
  const told = async () =>
    ((await one.rest().get('config/devices', MS)) as { deviceID: string }[]).some(
      ({ deviceID }) => deviceID === deviceId,
    );
  expect(await eventually(told, 30_000)).toBe(true);
});
