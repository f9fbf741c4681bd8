import { describe, expect, test } from 'bun:test';
import type { Outcome } from '../../../agent/core/postgres.ts';
import { firewallFence, serverFence } from '../../../agent/roles/firewall/fence.ts';

const DONE: Outcome = { kind: 'done' };
const no = (why: string): Outcome => ({ kind: 'failed', why });

const until = async (true_: () => boolean) => {
  for (let i = 0; i < 30_000 && !true_(); i++) await new Promise((done) => setTimeout(done, 1));
};

function bench() {
  const calls: string[] = [];
  const world = {
    now: 0,
    fence: DONE,
    unfence: DONE,
    renew: DONE,
    close: DONE,
    hang: false,
    renewTakes: 0,
    closing: null as Promise<Outcome> | null,
  };
  const server = {
    fence: (): Promise<Outcome> => {
      calls.push('server fenced');
      return world.hang ? new Promise(() => {}) : Promise.resolve(world.fence);
    },
    unfence: async () => {
      calls.push('server open');
      return world.unfence;
    },
  };
  const lease = {
    renew: async () => {
      calls.push('lease renewed');
      world.now += world.renewTakes;
      return world.renew;
    },
    keep: async () => {
      calls.push('lease kept');
      return world.renew;
    },
    close: async () => {
      calls.push('lease closed');
      return world.closing ?? world.close;
    },
    end: async () => {
      calls.push('local ended');
      return DONE;
    },
    limit: () => {},
    dispose: () => {},
  };
  return { calls, world, fence: firewallFence(server, lease, () => world.now) };
}

describe('opening', () => {
  test('lets the server in last, under the kernel lease', async () => {
    const { fence, calls } = bench();
    expect(await fence.open(1000, 500)).toEqual(DONE);
    expect(calls).toEqual(['lease renewed', 'server open']);
  });

  test('past the right touches nothing', async () => {
    const { fence, calls, world } = bench();
    world.now = 1000;
    expect((await fence.open(1000, 500)).kind).toBe('failed');
    expect(calls).toEqual([]);
  });

  test('that outlasted the right shuts again and leaves the server fenced', async () => {
    const { fence, calls, world } = bench();
    world.renewTakes = 2000;
    expect((await fence.open(1000, 500)).kind).toBe('failed');
    expect(calls).not.toContain('server open');
    expect(calls).toContain('lease closed');
  });

  test('without a kernel lease does not open the server', async () => {
    const { fence, calls, world } = bench();
    world.renew = no('the helper does not answer');
    expect(await fence.open(1000, 500)).toEqual(no('the helper does not answer'));
    expect(calls).toEqual(['lease renewed']);
  });

  test('shuts the ports again when the server does not open', async () => {
    const { fence, calls, world } = bench();
    world.unfence = no('reload');
    expect(await fence.open(1000, 500)).toEqual(no('reload'));
    expect(calls.at(-1)).toBe('lease closed');
  });
});

describe('closing', () => {
  test('within the right tells clients first, then shuts the ports', async () => {
    const { fence, calls } = bench();
    await fence.open(1000, 500);
    calls.length = 0;
    expect(await fence.close(500)).toEqual(DONE);
    expect(calls).toEqual(['server fenced', 'lease closed']);
  });

  test('past the right does not wait for a server that hangs', async () => {
    const { fence, calls, world } = bench();
    await fence.open(1000, 500);
    world.now = 1000;
    world.hang = true;
    void fence.close(500);
    await until(() => calls.length === 4);
    expect(calls.slice(2)).toEqual(['lease closed', 'server fenced']);
  });

  test('past the right has the clients reset before their server is shut, but waits for no helper that hangs', async () => {
    const { fence, calls, world } = bench();
    const { promise: reset, resolve: answer } = Promise.withResolvers<Outcome>();
    world.closing = reset;
    await fence.open(1000, 500);
    world.now = 1000;
    const closed = fence.close(500);
    await Promise.resolve();
    expect(calls.slice(2)).toEqual(['lease closed']);
    await until(() => calls.length === 4);
    answer(DONE);
    expect(await closed).toEqual(DONE);
    expect(calls.slice(2)).toEqual(['lease closed', 'server fenced']);
  });

  test.each([
    [no('server'), DONE, 'server'],
    [DONE, no('lease'), 'lease'],
    [no('server'), no('lease'), 'lease; server'],
  ] as const)('attempts both and says what failed (%#)', async (server, lease, why) => {
    const { fence, calls, world } = bench();
    world.fence = server;
    world.close = lease;
    expect(await fence.close(500)).toEqual(no(why));
    // A server that did not shut its clients out is ended by systemd.
    const ended = server.kind === 'failed' ? ['local ended'] : [];
    expect(calls.toSorted()).toEqual(['lease closed', ...ended, 'server fenced']);
  });

  test('is not undone by a renewal that comes late', async () => {
    const { fence, calls } = bench();
    await fence.open(1000, 500);
    await fence.close(500);
    calls.length = 0;
    expect((await fence.extend(2000)).kind).toBe('failed');
    expect(calls).toEqual([]);
  });
});

test('an agent that was restarted extends what its predecessor opened', async () => {
  const { fence, calls } = bench();
  expect(await fence.extend(1000, true)).toEqual(DONE);
  expect(calls).toEqual(['lease renewed']);
});

test('and while it does not know yet whether that is open, it keeps it and opens nothing', async () => {
  const { fence, calls } = bench();
  expect(await fence.extend(1000)).toEqual(DONE);
  expect(calls).toEqual(['lease kept']);
  await fence.close(500);
  expect((await fence.extend(2000)).kind).toBe('failed');
  expect(calls.filter((call) => call === 'lease kept')).toHaveLength(1);
});

test('without a firewall the last look at the clock is the same', async () => {
  let opened = 0;
  const server = {
    fence: async () => DONE,
    unfence: async () => {
      opened++;
      return DONE;
    },
  };
  expect((await serverFence(server, () => 10).open(10, 1)).kind).toBe('failed');
  expect(opened).toBe(0);
});
