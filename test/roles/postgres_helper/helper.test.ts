/** The helper and its client over a real socket, the driver a fake. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { connect } from 'node:net';
import { DETACH } from '../../../agent/roles/postgres/port.ts';
import { unknownFacts } from '../../../agent/roles/postgres_helper/client.ts';
import { uptime } from '../../../agent/roles/postgres_helper/messages.ts';
import { encode, frames } from '../../../agent/roles/postgres_helper/wire.ts';
import { version } from '../../../agent/version.ts';
import { eventually, type Stage, stage } from './fake.ts';

const done = { kind: 'done' } as const;
const from = { node: 'n2', host: '10.0.0.2', port: 5432 };
const signal = () => new AbortController().signal;

let s: Stage;
beforeEach(async () => {
  s = await stage();
});
afterEach(() => s.end());

/** A connection that speaks for itself. */
function raw() {
  const told: { t: string; id?: number; message?: string }[] = [];
  const socket = connect(s.socketPath);
  socket.on('error', () => {});
  socket.on(
    'data',
    frames((message) => told.push(message as never)),
  );
  const say = (...messages: unknown[]) => void socket.write(messages.map(encode).join(''));
  const open = {
    t: 'open',
    version,
    names: { node: 'n1', hostIp: '127.0.0.1', publicIp: null },
    identity: null,
  };
  return { socket, told, say, open };
}

describe('calls', () => {
  test('go through with their arguments and come back with their values, LSNs included', async () => {
    const agent = s.agent();
    expect(await agent.setUpstream(from, 1000)).toEqual(done);
    expect(s.driver.calls).toEqual([['setUpstream', from, expect.any(Number)]]);
    expect(await agent.stop('fast', 5000, true)).toEqual({
      kind: 'stopped',
      clean: true,
      checkpoint: 2n ** 60n + 1n,
      timeline: 3,
    });
    expect(await agent.facts(500)).toEqual({ ...unknownFacts, data: 'ok' });
    expect(await agent.inspect()).toEqual({ empty: true, version: null, systemId: null });
  });

  test('that the driver throws in come out as what the interface has for it', async () => {
    expect(await s.agent().history(2)).toBeNull();
  });

  test('run beside each other: a slow one holds nobody up', async () => {
    const agent = s.agent();
    await agent.facts(500);
    const { promise, resolve } = Promise.withResolvers<void>();
    s.driver.hold = promise;
    const slow = agent.promote(5000);
    await eventually('it is under way', () => s.driver.calls.length === 1);
    s.driver.hold = null;
    expect(await agent.checkpoint(500)).toEqual(done);
    resolve();
    expect(await slow).toEqual(done);
  });

  test('that come too late are not begun, unless they take away', async () => {
    const { told, say, open } = raw();
    say(
      open,
      { t: 'call', id: 1, method: 'unfence', args: [500], until: uptime() - 20 },
      { t: 'call', id: 2, method: 'fence', args: [500], until: uptime() - 20 },
      { t: 'call', id: 3, method: 'constructor', args: [], until: null },
    );
    await eventually('three answers', () => told.filter((m) => m.id !== undefined).length === 3);
    expect(told.find((m) => m.id === 1)).toMatchObject({
      t: 'error',
      message: expect.stringContaining('too late'),
    });
    expect(told.find((m) => m.id === 2)).toMatchObject({ t: 'answer' });
    expect(told.find((m) => m.id === 3)).toMatchObject({ t: 'error' });
    expect(s.driver.calls.map(([name]) => name)).toEqual(['fence']);
  });

  test('are cut to the time that is left of them', async () => {
    const { told, say, open } = raw();
    say(open, { t: 'call', id: 1, method: 'unfence', args: [5000], until: uptime() + 300 });
    await eventually('an answer', () => told.some((m) => m.id === 1));
    expect(Number(s.driver.calls[0]?.[1])).toBeLessThanOrEqual(310);
  });
});

describe('without the helper', () => {
  test('facts are unknown, outcomes failed and readings null, within the time that was given', async () => {
    const said: string[] = [];
    await s.helper.close();
    const agent = s.agent(said);
    const began = performance.now();
    const all = await Promise.all([
      agent.facts(100),
      agent.unfence(100),
      agent.stop('fast', 100, true),
      agent.position(100),
      agent.inspect().catch((error) => error.code),
    ]);
    expect(performance.now() - began).toBeLessThan(30_000);
    expect(all[0]).toEqual(unknownFacts);
    expect(all[1]).toMatchObject({ kind: 'failed', why: expect.stringContaining('cannot be reached') });
    expect(all[2]).toMatchObject({ kind: 'failed' });
    expect(all[3]).toBeNull();
    expect(all[4]).toBe('postgres_helper_silent');
  });

  test('a name that was set meanwhile is in force before the first call after it', async () => {
    const agent = s.agent();
    await agent.facts(500);
    await s.helper.close();
    await agent.facts(50);
    await agent.setIdentity('n1_c2');
    await s.restart();
    expect(await agent.setUpstream(from, 3000)).toEqual(done);
    expect(s.driver.calls.slice(-2).map(([name]) => name)).toEqual(['setIdentity', 'setUpstream']);
  });

  test('a call under way when the connection breaks is rejected at once, and the next one goes through', async () => {
    const agent = s.agent();
    let woken = 0;
    agent.onLost(() => woken++);
    await agent.facts(500);
    const { promise, resolve } = Promise.withResolvers<void>();
    s.driver.hold = promise;
    const cut = agent.startPrimary(60_000);
    const copy = agent.basebackup(from, () => {}, signal());
    await eventually('both are under way', () => s.driver.calls.length === 2);
    const before = woken;
    await s.restart();
    expect(await cut).toMatchObject({ kind: 'failed', why: expect.stringContaining('lost') });
    expect(await copy).toMatchObject({ kind: 'failed' });
    resolve();
    s.driver.hold = null;
    expect(await agent.checkpoint(2000)).toEqual(done);
    // The end of the connection and its return: what is known of the server is to be looked at again.
    expect(woken - before).toBe(2);
  });

  test('a driver that is slow is no helper that hangs: what else waits on it goes on', async () => {
    const agent = s.agent();
    await agent.facts(500);
    const copy = agent.basebackup(from, () => {}, signal());
    await eventually('the copy is under way', () => s.driver.copies.length === 1);
    const { promise, resolve } = Promise.withResolvers<void>();
    s.driver.hold = promise;
    expect(await agent.facts(20)).toEqual(unknownFacts);
    s.driver.copies[0]?.end(done);
    expect(await copy).toEqual(done);
    resolve();
  });
});

describe('one agent at a time', () => {
  test('what a replaced one still had to say is not done', async () => {
    const old = raw();
    old.say(old.open);
    await eventually('it is open', () => old.told.length === 1);
    const agent = s.agent();
    await agent.facts(500);
    old.say({ t: 'call', id: 9, method: 'unfence', args: [500], until: null });
    await eventually('it is shut', () => old.socket.destroyed);
    expect(await agent.checkpoint(500)).toEqual(done);
    expect(s.driver.calls.map(([name]) => name)).toEqual(['checkpoint']);
  });

  test('one of another version makes the helper end, for the new executable to be started', async () => {
    const other = raw();
    other.say({ ...other.open, version: '0.0.0' });
    await eventually('it is refused', () => other.told.length === 1);
    expect(other.told[0]?.t).toBe('refused');
    expect(s.outdated).toBe(1);
  });
});

describe('a long task', () => {
  const started = (count = 1) => eventually('the copy is under way', () => s.driver.copies.length === count);

  test('reports its progress and is cancelled by its signal', async () => {
    const cancel = new AbortController();
    const seen: unknown[] = [];
    const copy = s.agent().basebackup(from, (step) => seen.push(step), cancel.signal);
    await started();
    s.driver.copies[0]?.progress({ what: 'basebackup', bytes: 5, total: 10 });
    await eventually('progress', () => seen.length === 1);
    expect(seen).toEqual([{ what: 'basebackup', bytes: 5, total: 10 }]);
    cancel.abort();
    expect(await copy).toEqual({ kind: 'failed', why: 'cancelled' });
  });

  test('goes on while the agent restarts, and the next one that asks for it joins it', async () => {
    const first = s.agent();
    const stop = new AbortController();
    const copy = first.basebackup(from, () => {}, stop.signal);
    await started();
    stop.abort(DETACH);
    await first.close();
    expect(await copy).toMatchObject({ kind: 'failed' });
    const seen: unknown[] = [];
    const second = s.agent().basebackup(from, (step) => seen.push(step), signal());
    await eventually('the new agent hears of it', () => {
      s.driver.copies[0]?.progress({ what: 'basebackup', bytes: 7 });
      return seen.length > 0;
    });
    s.driver.copies[0]?.end(done);
    expect(await second).toEqual(done);
    expect(s.driver.copies.length).toBe(1);
  });

  test('that ended meanwhile tells its outcome to the next agent that asks', async () => {
    const first = s.agent();
    void first.basebackup(from, () => {}, signal());
    await started();
    await first.close();
    const second = s.agent();
    await second.facts(500);
    s.driver.copies[0]?.end(done);
    expect(await second.basebackup(from, () => {}, signal())).toEqual(done);
    expect(s.driver.copies.length).toBe(1);
  });

  test('from another source takes the place of the one that runs', async () => {
    const agent = s.agent();
    const first = agent.basebackup(from, () => {}, signal());
    await started();
    const second = agent.basebackup({ ...from, node: 'n3' }, () => {}, signal());
    expect(await first).toEqual({ kind: 'failed', why: 'cancelled' });
    await started(2);
    s.driver.copies[1]?.end(done);
    expect(await second).toEqual(done);
  });

  test('is ended before the server is started or the manager emptied', async () => {
    const agent = s.agent();
    const copy = agent.rewind(from, () => {}, signal());
    await started();
    expect(await agent.startStandby(1000)).toEqual(done);
    expect(await copy).toEqual({ kind: 'failed', why: 'cancelled' });
    const again = agent.rewind(from, () => {}, signal());
    await started(2);
    expect(await agent.wipe()).toEqual(done);
    expect(await again).toEqual({ kind: 'failed', why: 'cancelled' });
  });

  test('is cancelled when no agent asks for it for a while', async () => {
    await s.end();
    s = await stage(30);
    const agent = s.agent();
    void agent.basebackup(from, () => {}, signal());
    await started();
    await agent.close();
    await eventually('it is cancelled', () => s.driver.copies[0]?.signal.aborted === true);
    // The next one begins anew.
    void s.agent().basebackup(from, () => {}, signal());
    await started(2);
  });
});
