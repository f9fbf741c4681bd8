/**
 * Starts that wait in the helper for a long task to end: for its time, and for what else is asked meanwhile.
 */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { connect } from 'node:net';
import { uptime } from '../../../agent/roles/postgres_helper/messages.ts';
import { encode, frames } from '../../../agent/roles/postgres_helper/wire.ts';
import { version } from '../../../agent/version.ts';
import { eventually, type Stage, stage } from './fake.ts';

const done = { kind: 'done' } as const;
const from = { node: 'n2', host: '10.0.0.2', port: 5432 };

let s: Stage;
let copyEnds: () => void;
beforeEach(async () => {
  s = await stage();
  const { promise, resolve } = Promise.withResolvers<void>();
  s.driver.ending = promise;
  copyEnds = resolve;
});
afterEach(async () => {
  copyEnds();
  await s.end();
});

const names = () => s.driver.calls.map(([name]) => name);
const cancelled = () =>
  eventually('the start waits for the copy', () => s.driver.copies[0]?.signal.aborted === true);

test('a start whose time is over when the long task has ended is not begun', async () => {
  const told: { t: string; id?: number; message?: string }[] = [];
  const socket = connect(s.socketPath);
  socket.on(
    'data',
    frames((message) => told.push(message as never)),
  );
  const say = (message: unknown) => void socket.write(encode(message));
  const node = { node: 'n1', hostIp: '127.0.0.1', publicIp: null };
  say({ t: 'open', version, names: node, identity: null });
  say({ t: 'call', id: 1, method: 'rewind', args: [from], until: null });
  await eventually('the copy is under way', () => s.driver.copies.length === 1);
  const until = uptime() + 40;
  say({ t: 'call', id: 2, method: 'startPrimary', args: [40], until });
  await cancelled();
  await eventually('its time is over', () => uptime() > until);
  copyEnds();
  await eventually('an answer', () => told.some((message) => message.id === 2));
  expect(told.find((message) => message.id === 2)).toMatchObject({
    t: 'error',
    message: expect.stringContaining('too late'),
  });
  expect(names()).toEqual(['rewind']);
  // One that is late already ends no copy either.
  say({ t: 'call', id: 3, method: 'rewind', args: [from], until: null });
  await eventually('the next copy is under way', () => s.driver.copies.length === 2);
  say({ t: 'call', id: 4, method: 'startStandby', args: [40], until: uptime() - 20 });
  await eventually('an answer', () => told.some((message) => message.id === 4));
  expect(s.driver.copies[1]?.signal.aborted).toBe(false);
});

for (const end of ['stop', 'wipe'] as const) {
  test(`a start that still waits when a ${end} is asked for on another connection comes to nothing`, async () => {
    const first = s.agent();
    void first.rewind(from, () => {}, new AbortController().signal);
    await eventually('the copy is under way', () => s.driver.copies.length === 1);
    void first.startPrimary(60_000);
    await cancelled();
    await first.close();
    const second = s.agent();
    const ended = end === 'stop' ? second.stop('fast', 1000, true) : second.wipe();
    if (end === 'stop') expect(await ended).toMatchObject({ kind: 'stopped' });
    else await second.facts(500);
    copyEnds();
    await ended;
    // The start had its turn before this: calls are answered in the order in which they could begin.
    expect(await second.checkpoint(500)).toEqual(done);
    expect(names()).toEqual(['rewind', end, 'checkpoint']);
  });
}
