import { afterEach, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Reply } from '../../../agent/lease_helper/gate_hands.ts';
import { listen, serve } from '../../../agent/lease_helper/server.ts';
import { until } from '../../../agent/platform/clock.ts';
import { createKernelLease, type KernelLease } from '../../../agent/roles/firewall/kernel_lease.ts';

const dir = mkdtempSync(join(tmpdir(), 'lease-'));
const open: { server: Server; sockets: Set<{ destroy(): void }> }[] = [];
const leases: KernelLease[] = [];
let name = 0;

async function stop(): Promise<void> {
  for (const { server, sockets } of open.splice(0)) {
    for (const socket of sockets) socket.destroy();
    await new Promise((done) => server.close(done));
  }
}
afterEach(async () => {
  for (const lease of leases.splice(0)) lease.dispose();
  await stop();
});
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));

/** The real socket and protocol over a gate that answers as told. */
async function helper(path: string, reply: () => Reply = () => 'ok', longest = 9999) {
  const orders: string[] = [];
  const server = serve(
    {
      renew: async (deadline) => {
        orders.push(`renew ${deadline.toFixed(2)}`);
        return reply();
      },
      extend: async (deadline) => {
        orders.push(`extend ${deadline.toFixed(2)}`);
        return reply();
      },
      limit: async (seconds) => {
        orders.push(`limit ${seconds.toFixed(2)}`);
        return `limit ${Math.min(seconds, longest).toFixed(2)}`;
      },
      close: async () => {
        orders.push('close');
        return 'closed';
      },
      end: async () => {
        orders.push('end');
        return 'closed';
      },
    },
    () => {},
  );
  const sockets = new Set<{ destroy(): void }>();
  server.on('connection', (socket) => sockets.add(socket));
  await listen(server, path, undefined);
  open.push({ server, sockets });
  return orders;
}

function client(path: string, now = 5000, longest?: number): KernelLease {
  const began = performance.now();
  const lease = createKernelLease({
    socketPath: path,
    ...(longest === undefined ? {} : { longest }),
    now: () => now + (performance.now() - began),
    boottime: () => 100 + Math.floor((performance.now() - began) / 10) / 100,
  });
  leases.push(lease);
  return lease;
}
const path = () => join(dir, `${++name}.sock`);

describe('a renewal', () => {
  test('carries the deadline over to the clock that both ends share, never later', async () => {
    const at = path();
    const orders = await helper(at);
    expect(await client(at).renew(9000)).toEqual({ kind: 'done' });
    const deadline = Number(orders[0]?.slice(6));
    expect(deadline).toBeLessThanOrEqual(104);
    expect(deadline).toBeGreaterThan(103.5);
  });

  test.each(['closed', 'refused: too far ahead', 'failed: ipset'] as const)(
    'that is answered %p is not done',
    async (reply) => {
      const at = path();
      await helper(at, () => reply);
      expect(await client(at).renew(9000)).toEqual({ kind: 'failed', why: `kernel lease: ${reply}` });
    },
  );

  test('without a helper fails in its time', async () => {
    const began = performance.now();
    expect((await client(path()).renew(9000, 100)).kind).toBe('failed');
    expect(performance.now() - began).toBeLessThan(30_000);
  });

  test('waits for a helper that is being restarted', async () => {
    const at = path();
    const renewed = client(at).renew(9000, 2000);
    await helper(at);
    expect(await renewed).toEqual({ kind: 'done' });
  });

  test('is told again to a helper that was restarted', async () => {
    const at = path();
    await helper(at);
    const lease = client(at);
    await lease.renew(60_000);
    await stop();
    const orders = await helper(at);
    const again = await until(() => orders.length > 0, { timeout: 1000 });
    // Within its time, the client may have given up: the next renewal comes by itself then.
    if (again === undefined) expect(await lease.renew(60_000, 1000)).toEqual({ kind: 'done' });
    expect(orders[0]).toStartWith('renew ');
  });
});

describe('what opens nothing', () => {
  test('waits for a helper that is being restarted too, and is said again in the same word', async () => {
    const at = path();
    const lease = client(at);
    let kept = lease.keep(60_000);
    await helper(at);
    // On a busy machine the helper may have come too late for one that waits so short.
    for (let i = 0; i < 50 && (await kept).kind !== 'done'; i++) kept = lease.keep(60_000);
    expect(await kept).toEqual({ kind: 'done' });
    await stop();
    const orders = await helper(at);
    if ((await until(() => orders.length > 0, { timeout: 1000 })) === undefined) await lease.keep(60_000);
    expect(orders[0]).toStartWith('extend ');
    expect(orders.some((order) => order.startsWith('renew'))).toBe(false);
  });

  test('is not done where nothing is open', async () => {
    const at = path();
    await helper(at, () => 'closed');
    expect(await client(at).keep(9000)).toEqual({ kind: 'failed', why: 'kernel lease: closed' });
  });
});

test('replies belong to their orders, in order', async () => {
  const at = path();
  const replies: Reply[] = ['ok', 'closed', 'ok'];
  await helper(at, () => replies.shift() ?? 'ok');
  const lease = client(at);
  const all = await Promise.all([lease.renew(9000), lease.renew(9000), lease.close(), lease.renew(9000)]);
  expect(all.map((one) => one.kind)).toEqual(['done', 'failed', 'done', 'done']);
});

test('a connection that says anything else is hung up on', async () => {
  const at = path();
  const orders = await helper(at);
  const { connect } = await import('node:net');
  const closed = new Promise((done) => {
    const socket = connect(at, () => socket.write('save -file /etc/shadow\nclose\n'));
    socket.on('close', () => done('closed'));
    socket.on('error', () => {});
  });
  expect(await closed).toBe('closed');
  expect(orders).toEqual([]);
});

describe("the cluster's deadline", () => {
  const ahead = (order: string | undefined) => Number(order?.slice(6)) - 100;

  test('shorter than the file: the helper is told to believe no longer one, once, ahead of the renewal', async () => {
    const at = path();
    const orders = await helper(at, undefined, 4);
    const lease = client(at, 5000, 4000);
    lease.limit(2000);
    expect(await lease.renew(7000)).toEqual({ kind: 'done' });
    expect(await lease.renew(7100)).toEqual({ kind: 'done' });
    expect(orders.map((order) => order.split(' ')[0])).toEqual(['limit', 'renew', 'renew']);
    expect(orders[0]).toBe('limit 2.00');
    lease.limit(4000);
    await lease.renew(7200);
    expect(orders[3]).toBe('limit 4.00');
  });

  test('that of the file or longer says nothing to a helper that was never told less', async () => {
    const at = path();
    const orders = await helper(at, undefined, 4);
    const lease = client(at, 5000, 4000);
    lease.limit(12_000);
    await lease.renew(8900);
    expect(orders).toHaveLength(1);
  });

  test('longer than the file: told in pieces, each as far ahead as the file allows, until the right ends', async () => {
    const at = path();
    const orders = await helper(at, undefined, 0.6);
    const lease = client(at, 5000, 600);
    lease.limit(3000);
    expect(await lease.renew(8000)).toEqual({ kind: 'done' });
    expect(await until(() => orders.length >= 4, { timeout: 30_000 })).toBe(true);
    // The shared clock is read in steps of 10 ms.
    expect(ahead(orders[0])).toBeLessThanOrEqual(0.62);
    expect(ahead(orders[3])).toBeLessThanOrEqual(3.02);
    expect(ahead(orders[3])).toBeGreaterThan(ahead(orders[0]));
    expect(orders.every((order) => order.startsWith('renew'))).toBe(true);
    await lease.close();
    const said = orders.length;
    await new Promise((done) => setTimeout(done, 600));
    expect(orders.length).toBe(said);
  });

  test('a helper whose file allows less than this one thinks, or that was told less by another, is asked', async () => {
    const at = path();
    const orders = await helper(
      at,
      () => (orders.some((order) => order.startsWith('limit')) ? 'ok' : 'refused: too far ahead'),
      2,
    );
    const lease = client(at, 5000, 4000);
    expect(await lease.renew(8900, 2000)).toEqual({ kind: 'done' });
    expect(orders.map((order) => order.split(' ')[0])).toEqual(['renew', 'limit', 'renew']);
    await lease.renew(8900, 2000);
    expect(ahead(orders[3])).toBeLessThan(3);
  });

  test('an older helper, which hangs up on it, is renewed all the same, and not told again', async () => {
    const at = path();
    const { createServer } = await import('node:net');
    const heard: string[] = [];
    let calls = 0;
    const older = createServer((socket) => {
      calls += 1;
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        for (const line of chunk.toString().trim().split('\n')) {
          heard.push(line.split(' ')[0] ?? '');
          if (!line.startsWith('renew')) return void socket.destroy();
          socket.write('ok\n');
        }
      });
    });
    const sockets = new Set<{ destroy(): void }>();
    older.on('connection', (socket) => sockets.add(socket));
    await listen(older, at, undefined);
    open.push({ server: older, sockets });
    const lease = client(at, 5000, 4000);
    lease.limit(2000);
    expect(await lease.renew(7000, 2000)).toEqual({ kind: 'done' });
    expect(await lease.renew(7100, 2000)).toEqual({ kind: 'done' });
    expect(heard.filter((word) => word === 'limit')).toHaveLength(1);
    expect(heard.at(-1)).toBe('renew');
    expect(calls).toBe(2);
  });
});

describe('a renewal that was given up', () => {
  test('is not said again once a close was asked for', async () => {
    const at = path();
    const lease = client(at);
    // Nobody listens: it is tried again and again, with a wait between.
    const renewed = lease.renew(60_000, 3000);
    await new Promise((go) => setTimeout(go, 60));
    const closed = lease.close(3000);
    const orders = await helper(at);
    expect(await closed).toEqual({ kind: 'done' });
    expect((await renewed).kind).toBe('failed');
    await new Promise((go) => setTimeout(go, 150));
    expect(orders.at(-1)).toBe('close');
  });

  test('and comes out of an older connection after a close opens nothing: it is hung up on', async () => {
    const at = path();
    const orders = await helper(at);
    const old = connect(at);
    let hungUp = false;
    old.resume();
    old.on('close', () => {
      hungUp = true;
    });
    old.on('error', () => {});
    await new Promise<void>((done) => old.once('connect', done));
    old.write('renew 103.00\n');
    expect(await until(() => orders.length === 1, { timeout: 30_000 })).toBeDefined();
    expect(await client(at).close(3000)).toEqual({ kind: 'done' });
    old.write('renew 104.00\n');
    expect(await until(() => hungUp, { timeout: 30_000 })).toBeDefined();
    expect(orders).toEqual(['renew 103.00', 'close']);
  });

  test('whose close is late shuts all the same, from whatever connection', async () => {
    const at = path();
    const orders = await helper(at);
    const old = connect(at);
    old.on('error', () => {});
    await new Promise<void>((done) => old.once('connect', done));
    expect(await client(at).renew(9000, 3000)).toEqual({ kind: 'done' });
    old.write('close\n');
    expect(await until(() => orders.length === 2, { timeout: 30_000 })).toBeDefined();
    expect(orders[1]).toBe('close');
    old.destroy();
  });
});
