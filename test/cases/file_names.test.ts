/**
 * Input: on the active a file whose name is Latin-1, one whose name is decomposed Unicode, and a folder named
 *        in Latin-1.
 * Right: named and counted as missing: in the facts, the check and the status; a switchover says them and
 *        does not go through.
 * Source: reports on replicated files that were "complete" and lacked every file with an old name.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { Buffer } from 'node:buffer';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { filesync } from '../../agent/checks/filesync.ts';
import { eventually, hasSyncthing, list, type Node, startNodes } from '../contract/syncthing_harness.ts';

setDefaultTimeout(120_000);
const when = test.skipIf(!hasSyncthing);
const MS = 20_000;
let nodes: Node[] = [];
let stop: () => Promise<void>;

beforeAll(async () => {
  if (hasSyncthing) ({ nodes, stop } = await startNodes(['127.0.56.1', '127.0.56.2']));
});
afterAll(async () => await stop?.());

const one = () => nodes[0]!;
const two = () => nodes[1]!;
const latin1 = (dir: string, name: string) =>
  Buffer.concat([Buffer.from(`${dir}/`), Buffer.from(name, 'latin1')]);
const DECOMPOSED = 'cafe\u0301.txt';

async function checked(): Promise<string> {
  const options = {
    now: () => performance.now(),
    wall: () => new Date(),
    ttl: 20_000,
    role: () => 'active' as const,
  };
  const { verdict, output } = await filesync(one().files, options).run({
    ms: 1000,
    signal: new AbortController().signal,
  });
  return `${verdict}: ${output}`;
}

when('what no other can be sent is counted and named, and a switchover waits for it', async () => {
  const { data } = one();
  writeFileSync(join(data, 'fine'), 'x');
  writeFileSync(latin1(data, 'caf\xe9.txt'), 'latin');
  writeFileSync(join(data, DECOMPOSED), 'decomposed');
  mkdirSync(latin1(data, 'r\xe9sum\xe9s'));
  writeFileSync(Buffer.concat([latin1(data, 'r\xe9sum\xe9s'), Buffer.from('/inside')]), 'inside');
  expect(await one().files.lead(MS)).toEqual({ kind: 'done' });
  expect(await two().files.follow('n1', MS)).toEqual({ kind: 'done' });
  expect(await eventually(() => list(two().data).includes('fine'))).toBe(true);
  expect(await eventually(() => one().files.facts().errors === 3)).toBe(true);

  const facts = one().files.facts();
  expect(facts).toMatchObject({ state: 'behind', needItems: 3, mode: 'sendonly' });
  for (const said of [
    '3 items',
    'data/caf\ufffd.txt',
    `data/${DECOMPOSED}`,
    'data/r\ufffdsum\ufffds',
    'rename them',
  ])
    expect(facts.unsent).toContain(said);
  expect(await checked()).toMatch(/^fail: folder data: 3 items cannot be replicated: '.*caf.*'/);
  expect(await one().files.settle('n2', MS)).toMatchObject({
    kind: 'failed',
    why: expect.stringContaining('n2 lacks what cannot be sent: 3 items'),
  });

  renameSync(latin1(data, 'caf\xe9.txt'), join(data, 'one.txt'));
  renameSync(join(data, DECOMPOSED), join(data, DECOMPOSED.normalize('NFC')));
  rmSync(latin1(data, 'r\xe9sum\xe9s'), { recursive: true });
  expect(await one().files.settle('n2', MS)).toEqual({ kind: 'done' });
  expect(one().files.facts()).toMatchObject({ state: 'complete', needItems: 0, errors: 0 });
  expect(list(two().data)).toEqual(['café.txt', 'fine', 'one.txt'].sort());
  expect(await checked()).toBe('pass: complete');
});
