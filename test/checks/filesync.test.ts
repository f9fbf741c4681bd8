import { expect, test } from 'bun:test';
import { filesync } from '../../agent/checks/filesync.ts';
import type { NodeRole } from '../../agent/checks/port.ts';
import type { FileFacts } from '../../agent/core/ports.ts';
import type { FilesStatus, FolderStatus } from '../../agent/roles/files/port.ts';

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
  const world = { now: 0, facts: healthy, status: quiet, role: 'standby' as NodeRole };
  const check = filesync(
    { facts: () => world.facts, status: () => world.status },
    {
      now: () => world.now,
      wall: () => new Date(Date.parse('2026-11-27T10:00:00.400Z') + world.now),
      ttl: TTL,
      role: () => world.role,
    },
  );
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
  expect(await run()).toBe('fail: Syncthing does not answer, since 2026-11-27T10:00:00Z');
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
  expect(await run()).toBe('fail: is not catching up with the active, since 2026-11-27T10:00:59Z');
  lacks(800);
  expect(await run()).toBe('pass: catching up');
});

test('a lost connection to the active is no news within the ttl', async () => {
  const { world, run } = stage();
  world.status = { ...quiet, connected: false };
  expect(await run()).toBe('pass: complete');
  world.now = TTL + 1;
  expect(await run()).toBe('fail: no connection to the active, since 2026-11-27T10:00:00Z');
  // Said the same way as long as it lasts: each change of it is a write to Consul.
  world.now = TTL + 700;
  expect(await run()).toBe('fail: no connection to the active, since 2026-11-27T10:00:00Z');
  world.status = quiet;
  expect(await run()).toBe('pass: complete');
});

test('a standby that follows nobody fails, with the reason, also one that was complete once', async () => {
  const { world, run } = stage();
  world.status = { ...quiet, connected: null, notes: ["Syncthing's id of m1 is not known"] };
  expect(await run()).toBe('pass: complete');
  world.now = TTL + 1;
  const said =
    "fail: receives no files from the active: Syncthing's id of m1 is not known, since 2026-11-27T10:00:00Z";
  expect(await run()).toBe(said);
  // Another reason is the same trouble: it is not begun anew.
  world.status = { ...quiet, connected: null, notes: ['another'] };
  world.now = TTL + 2;
  expect(await run()).toBe('fail: receives no files from the active: another, since 2026-11-27T10:00:00Z');
});

test('a standby of which nobody knows what it lacks does not pass for ever', async () => {
  const { world, run } = stage();
  world.facts = { ...healthy, state: 'unknown' };
  expect(await run()).toBe('pass: what is missing is not known yet');
  world.now = 60_001;
  expect(await run()).toBe('fail: what is missing is not known, since 2026-11-27T10:00:00Z');
  world.facts = healthy;
  expect(await run()).toBe('pass: complete');
});

test('a former active that is archiving has a minute before it follows', async () => {
  const { world, run } = stage();
  world.facts = { ...healthy, state: 'behind' };
  world.status = { ...quiet, connected: null, notes: ['what only this node has is being archived'] };
  expect(await run()).toBe('pass: catching up');
  world.now = 59_000;
  expect(await run()).toBe('pass: catching up');
  world.now = 60_001;
  expect(await run()).toStartWith('fail: receives no files from the active yet: what only this node has');
});

test('an active sends, and nobody else does', async () => {
  const { world, run } = stage();
  world.role = 'active';
  world.status = { ...quiet, connected: null };
  world.facts = { ...healthy, mode: 'sendonly' };
  await run();
  world.now = 10 * TTL;
  expect(await run()).toBe('pass: complete');
  world.role = 'standby';
  await run();
  world.now += TTL + 1;
  expect(await run()).toStartWith('fail: still sends its files to others, since');
  world.facts = healthy;
  world.role = 'active';
  await run();
  world.now += TTL + 1;
  expect(await run()).toStartWith('fail: the files of this active are not sent to the others, since');
});

test('held deletions warn, whoever waits for the word', async () => {
  const { world, run } = stage();
  world.facts = { ...healthy, state: 'behind' };
  world.status = {
    ...quiet,
    held: [{ folder: 'etc', deletions: 200, of: 201 }],
    notes: ['200 deletions of 201 items in folder etc await confirmation'],
  };
  expect(await run()).toBe('warn: 200 deletions of 201 items in folder etc await confirmation');
});
