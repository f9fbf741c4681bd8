/**
 * What goes on beside the decisions: nothing of it that fails holds up the rest, and all of it is tried
 * again.
 */
import { describe, expect, test } from 'bun:test';
import { makeConfig, requireNode } from '../../agent/config/index.ts';
import type { JoiningRecord } from '../../agent/core/records.ts';
import { type HousekeepingParts, housekeeping, serverUrls } from '../../agent/node/housekeeping.ts';
import type { Membership } from '../../agent/state/identity.ts';
import { node, nodeRecord, pgFacts, primary } from '../core/build.ts';
import { Stage } from '../core/stage.ts';

const config = requireNode(makeConfig({ node_name: 'a', host_ip: '10.0.0.1' }));
const membership = { nodeName: 'a', hostIp: '10.0.0.1', consulServers: ['10.0.0.9'] } as Membership;

/** A round is half a second; `rounds` of them are lived through, and `at` is called before each. */
function house(over: Partial<HousekeepingParts> = {}) {
  const stage = new Stage();
  for (const [index, name] of ['a', 'b', 'c'].entries())
    stage.store.put(`nodes/${name}`, { ...nodeRecord(name), hostIp: `10.0.0.${index + 1}` });
  const n = node('a', stage);
  stage.sees(n);
  n.db.facts = primary();
  const did: string[] = [];
  const said: string[] = [];
  const fails = new Set<string>();
  const doing = async (what: string): Promise<{ kind: 'done' }> => {
    did.push(what);
    if (fails.has(what.split(' ')[0] ?? '')) throw new Error(`${what} failed`);
    return { kind: 'done' };
  };
  const end = new AbortController();
  let now = 0;
  let left = 0;
  let at: (round: number) => void = () => {};
  const parts: HousekeepingParts = {
    config,
    membership,
    node: n,
    pg: {
      ensureSlots: (nodes: string[], _ms: number, drop: boolean) =>
        doing(`slots ${nodes.join()}${drop ? ' drop' : ''}`),
      advanceSlots: () => doing('advance'),
      ensureReplicationRole: () => doing('role'),
      holdSettings: () => doing('settings'),
    } as never,
    clients: [{ transport: { setServers: (urls: string[]) => did.push(`servers ${urls.length}`) } }] as never,
    doors: ['firewall', 'postgres', 'files'].map((name) => ({
      name,
      letIn: async (list) => void (await doing(`${name} ${Object.keys(list).join()}`)),
    })),
    chore: () => doing('chore'),
    keepRecord: async () => (await doing('record')).kind === 'done',
    log: { warn: (...words: unknown[]) => said.push(words.join(' ')), debug: () => {} } as never,
    signal: end.signal,
    time: {
      now: () => now,
      async sleep(ms) {
        now += ms;
        await new Promise((done) => setImmediate(done));
        left -= 1;
        if (left <= 0) end.abort();
        else at(left);
      },
    },
    ...over,
  };
  const keeping = housekeeping(parts);
  return {
    ...{ stage, n, did, said, fails, keeping },
    see: () => stage.sees(n),
    async rounds(count: number, each: (round: number) => void = () => {}) {
      left = count;
      at = (remaining) => each(count - remaining);
      await keeping.run();
    },
  };
}

const of = (did: readonly string[], what: string) => did.filter((one) => one.startsWith(what));

describe('the doors', () => {
  test('are told the list in their order, once, and again when it is another', async () => {
    const h = house();
    await h.rounds(4, (round) => {
      if (round !== 2) return;
      h.stage.store.put('joining/d', {
        schema: 1,
        at: 'x',
        node: { ...nodeRecord('d'), hostIp: '10.0.0.4' },
      });
      h.see();
    });
    const doors = h.did.filter((one) => /^(firewall|postgres|files)/.test(one));
    expect(doors).toEqual([
      ...['firewall a,b,c', 'postgres a,b,c', 'files a,b,c'],
      ...['firewall d,a,b,c', 'postgres d,a,b,c', 'files d,a,b,c'],
    ]);
  });

  for (const name of ['firewall', 'postgres', 'files'])
    test(`${name} fails: the others are told at once, it is told again until it succeeds, and that is said once`, async () => {
      const h = house();
      h.fails.add(name);
      await h.rounds(6, (round) => {
        if (round === 3) h.fails.delete(name);
      });
      for (const other of ['firewall', 'postgres', 'files'])
        expect([other, of(h.did, other).length]).toEqual([other, other === name ? 4 : 1]);
      expect(h.said).toEqual([`members are not let in everywhere: ${name}: ${name} a,b,c failed`]);
    });

  test('what fails is told to who asks for the list to be told now, with the slots made all the same', async () => {
    const h = house();
    h.fails.add('postgres');
    expect(await h.keeping.letIn()).toEqual(['postgres: postgres a,b,c failed']);
    expect(h.did).toEqual(['firewall a,b,c', 'postgres a,b,c', 'files a,b,c', 'slots b,c']);
  });

  test('are told nothing before a list is there: an empty one would shut everybody out', async () => {
    const h = house();
    h.n.view = null;
    await h.rounds(3);
    expect(h.did.filter((one) => /^(firewall|postgres|files|slots)/.test(one))).toEqual([]);
  });

  test('let nobody in who is being removed, or of whom only the name can be read', () => {
    const h = house();
    const held: JoiningRecord = { schema: 1, at: 'x', lifeMs: 0, node: nodeRecord('d') };
    h.stage.store.put('joining/d', held);
    h.stage.store.put('nodes/c', { ...nodeRecord('c'), hostIp: '' });
    h.see();
    expect(Object.keys(h.keeping.admitted()).sort()).toEqual(['a', 'b']);
  });
});

test('two that tell the doors the list do so one after the other: the newer list is told last', async () => {
  const told: string[] = [];
  const opened: (() => void)[] = [];
  const h = house({
    doors: [
      {
        name: 'firewall',
        letIn: async (list) => {
          await new Promise<void>((done) => opened.push(done));
          told.push(Object.keys(list).join());
        },
      },
    ],
  });
  const first = h.keeping.letIn();
  h.stage.store.drop('nodes/c');
  h.see();
  const second = h.keeping.letIn();
  for (let turn = 0; turn < 20; turn++) {
    opened.pop()?.();
    await new Promise((done) => setImmediate(done));
  }
  await Promise.all([first, second]);
  expect(told.at(-1)).toBe('a,b');
});

describe('nothing that fails ends it', () => {
  for (const what of ['slots', 'advance', 'role', 'settings', 'chore', 'record'])
    test(`${what}: everything else goes on, and it is tried again`, async () => {
      const h = house();
      if (what === 'advance') h.n.db.facts = pgFacts();
      h.n.fence.state = 'open';
      h.fails.add(what);
      await h.rounds(60);
      expect(of(h.did, what).length).toBeGreaterThan(1);
      for (const other of ['firewall', 'slots', 'settings', 'chore', 'record'])
        expect([other, of(h.did, other).length > 0]).toEqual([other, true]);
    });

  test('the disk, when the addresses are to be kept: said once, tried again, and kept in the end', async () => {
    let full = true;
    const kept: string[][] = [];
    const h = house({
      remember(hosts) {
        if (full) throw new Error('no space left');
        kept.push([...hosts]);
      },
    });
    await h.rounds(6, (round) => {
      full = round < 3;
    });
    expect(kept).toEqual([['10.0.0.1', '10.0.0.2', '10.0.0.3']]);
    expect(h.said).toHaveLength(1);
    expect(of(h.did, 'firewall')).toHaveLength(1);
  });

  test('what is to be done once it is removed is done until it succeeds, and then no more', async () => {
    let tries = 0;
    const h = house({
      whenRemoved: async () => {
        tries += 1;
        if (tries < 3) throw new Error('Raft is not known');
      },
    });
    h.stage.store.drop('nodes/a');
    h.stage.store.put('removed/a', {});
    h.see();
    await h.rounds(8);
    expect(tries).toBe(3);
  });
});

describe('how often', () => {
  test('slots of a standby are dropped and moved on every ten seconds; an active drops none', async () => {
    const h = house();
    h.n.db.facts = pgFacts();
    await h.rounds(61);
    expect(of(h.did, 'slots')).toEqual(['slots b,c drop', 'slots b,c drop', 'slots b,c drop']);
    const active = house();
    await active.rounds(61);
    expect(new Set(of(active.did, 'slots'))).toEqual(new Set(['slots b,c']));
  });

  test('a record that is being looked after is not looked after twice at once, and holds up nothing', async () => {
    let begun = 0;
    const h = house({
      keepRecord: () => {
        begun += 1;
        return new Promise(() => {});
      },
    });
    await h.rounds(60);
    expect(begun).toBe(1);
    expect(of(h.did, 'chore').length).toBeGreaterThan(1);
  });

  test('what only a server that accepts can take waits for that', async () => {
    const h = house();
    h.n.db.facts = null;
    h.n.fence.state = 'open';
    await h.rounds(60);
    expect(h.did.filter((one) => /^(slots|role|settings)/.test(one))).toEqual([]);
  });
});

test('the own Consul is asked first, then those of the join and of the list, each once', () => {
  const urls = serverUrls(config, membership, ['10.0.0.1', '10.0.0.2', '10.0.0.9']);
  expect(urls).toHaveLength(3);
  expect(urls[0]).toContain('//10.0.0.1:');
});
