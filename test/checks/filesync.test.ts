import { expect, test } from 'bun:test';
import { filesync } from '../../agent/checks/filesync.ts';
import type { FileFacts, FilesStatus, FolderStatus } from '../../agent/roles/files/port.ts';

const healthy: FileFacts = { state: 'complete', needItems: 0, needBytes: 0, errors: 0, mode: 'receiveonly' };
const folder: FolderStatus = {
  id: 'etc',
  mode: 'receiveonly',
  state: 'idle',
  needItems: 0,
  needBytes: 0,
  needDeletes: 0,
  localChanges: 0,
  errors: 0,
  error: null,
};
const quiet: FilesStatus = {
  silent: null,
  seenAt: 0,
  connected: true,
  folders: [folder],
  held: [],
  notes: [],
};
const TTL = 20_000;

function stage() {
  const world = { now: 0, facts: healthy, status: quiet };
  const check = filesync({ facts: () => world.facts, status: () => world.status }, () => world.now, TTL);
  const run = async () => {
    const { verdict, output } = await check.run({ ms: 1000, signal: new AbortController().signal });
    return `${verdict}: ${output}`;
  };
  return { world, run };
}

test('passes when complete, and where no folders are replicated', async () => {
  const { world, run } = stage();
  expect(await run()).toBe('pass: complete');
  world.facts = { ...healthy, state: 'off' };
  expect(await run()).toBe('pass: no folders are replicated');
});

test('fails when Syncthing is silent for longer than the ttl', async () => {
  const { world, run } = stage();
  world.status = { ...quiet, silent: 'Syncthing does not answer' };
  expect(await run()).toBe('pass: complete');
  world.now = TTL + 1;
  expect(await run()).toBe('fail: Syncthing does not answer');
});

test('fails on a folder in error, and on items that Syncthing gave up on', async () => {
  const { world, run } = stage();
  world.status = { ...quiet, folders: [{ ...folder, error: 'folder marker missing' }] };
  expect(await run()).toBe('fail: folder etc: folder marker missing');
  world.status = { ...quiet, folders: [{ ...folder, errors: 2 }] };
  expect(await run()).toStartWith('fail: folder etc');
});

test('a standby that comes closer passes, one that does not for a minute fails, until it does', async () => {
  const { world, run } = stage();
  const lacks = (needBytes: number) => {
    world.facts = { ...healthy, state: 'behind', needItems: 1, needBytes };
  };
  lacks(1000);
  expect(await run()).toBe('pass: catching up');
  world.now = 59_000;
  lacks(900);
  expect(await run()).toBe('pass: catching up');
  world.now = 118_000;
  expect(await run()).toBe('pass: catching up');
  world.now = 120_000;
  expect(await run()).toBe('fail: does not come closer to the active');
  lacks(800);
  expect(await run()).toBe('pass: catching up');
});

test('a lost connection to the active is no news within the ttl', async () => {
  const { world, run } = stage();
  world.status = { ...quiet, connected: false };
  expect(await run()).toBe('pass: complete');
  world.now = TTL + 1;
  expect(await run()).toBe('fail: no connection to the active');
});

test('held deletions warn, whoever waits for the word', async () => {
  const { world, run } = stage();
  world.facts = { ...healthy, state: 'behind' };
  world.status = {
    ...quiet,
    held: [{ folder: 'etc', deletions: 200, of: 201 }],
    notes: ['200 deletions of 201 items in folder etc wait for confirmation'],
  };
  expect(await run()).toBe('warn: 200 deletions of 201 items in folder etc wait for confirmation');
});
