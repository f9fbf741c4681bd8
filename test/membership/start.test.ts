import { afterEach, describe, expect, test } from 'bun:test';
import type { OwnCore } from '../../agent/membership/own_core.ts';
import { START, type StartParts, startCluster } from '../../agent/membership/start.ts';
import { securityStore } from '../../agent/security/store.ts';
import { Manager } from './manager.ts';
import { hurriedTime, MISHAPS } from './outside.ts';

/** Up to the opening, everything goes well. */
function founding(member: () => OwnCore['member']): StartParts {
  const done = async () => ({ kind: 'done' });
  const values = new Map<string, string>();
  return {
    kv: {
      recurse: async () => ({ kind: 'ok', entries: [] }),
      put: async (key: string, value: string) => values.set(key, value) && { kind: 'ok' },
      get: async (key: string) => ({ kind: 'ok', entry: { value: values.get(key) } }),
    },
    core: {
      run: async () => {},
      end: async () => {},
      get member() {
        return member();
      },
      entered: () => {},
    },
    options: {},
    time: hurriedTime(),
    parts: {
      config: {
        ...{
          node_name: 'a',
          host_ip: '127.0.0.9',
          synchronous_mode: 'quorum',
          tags: {},
          lease: {},
          checks: {},
        },
        ...{ consul: { prefix: 'p' }, postgres: { data_dir: '/data', port: 5432 }, api: { tls: false } },
      },
      pg: {
        facts: async () => ({ data: 'ok', systemId: '7' }),
        preflight: async () => [],
        rehearse: async () => ({ kind: 'done' }),
        stop: async () => ({ kind: 'stopped' }),
        adopt: done,
        setCertificates: done,
      },
      consul: { start: done, waitLeader: done },
      files: { enabled: false },
      machine: { take: done },
      security: { current: () => undefined },
    },
  } as unknown as StartParts;
}

test('what fails try after try is not waited for to the end: the last failure is the answer', async () => {
  const told: (string | undefined)[] = [];
  const answers = [
    ['first start', 0],
    ['first start; failed: no database "x"', 9000],
    ['first start; failed: no database "x"', 10_001],
  ] as const;
  let asked = 0;
  const parts = founding(() => {
    const [reason, failingFor] = answers[asked++] ?? ['', 0];
    const node = {
      fence: { state: 'closed' },
      view: null,
      now: () => failingFor,
      failures: { last: { since: 0 } },
    };
    return { node, last: () => ({ decision: { reason } }) } as never;
  });
  const steps = {
    step: <T>(_: string, body: (report: (d: { detail?: string }) => void) => Promise<T>) =>
      body(({ detail }) => told.push(detail)),
  };
  await expect(startCluster(parts, steps)).rejects.toMatchObject({
    code: 'not_opened',
    message: 'the database cannot be opened: first start; failed: no database "x"',
  });
  expect(told.slice(0, 2)).toEqual(['first start', 'first start; failed: no database "x"']);
});

test('a database that is not fit is refused with all that is wrong, and nothing is touched', async () => {
  const touched: string[] = [];
  const only = (name: string, parts: object): unknown =>
    new Proxy(parts, {
      get: (target, key) => Reflect.get(target, key) ?? touched.push(`${name}.${String(key)}`),
    });
  const parts = {
    kv: only('kv', {}),
    parts: {
      config: { consul: { prefix: 'p' }, postgres: { data_dir: '/data' }, api: { tls: true } },
      pg: only('pg', {
        facts: async () => ({ data: 'ok', systemId: '7' }),
        preflight: async () => [
          { id: 'x', state: 'fail', what: 'a', mend: 'set b' },
          { id: 'y', state: 'fail', what: 'c', mend: 'set d' },
        ],
      }),
      consul: only('consul', {}),
      files: only('files', {}),
      machine: only('machine', {}),
    },
  } as unknown as StartParts;
  await expect(startCluster(parts, { step: (_, body) => body(() => {}) })).rejects.toMatchObject({
    code: 'database_unfit',
    message: expect.stringContaining('a; c'),
    hint: expect.stringContaining('set b; set d'),
  });
  expect(touched).toEqual([]);
});

const made: Manager[] = [];
const manager = (options: ConstructorParameters<typeof Manager>[0]): Manager => {
  const one = new Manager(options);
  made.push(one);
  return one;
};
afterEach(() => {
  for (const one of made.splice(0)) one.remove();
});

const FOUNDED = {
  ...{ taken: true, database: 'own', running: false, adopted: true, consul: 'voter', bootstraps: 1 },
  ...{ files: 'none', doors: [], mark: false, durable: expect.any(String) },
  membership: { entered: true, systemId: 'own' },
};

/** What Consul has, by key; each as it was first written. */
async function keys(m: Manager): Promise<Record<string, { id?: string; systemId?: string }>> {
  const found = await m.consul.client().kv.recurse('');
  if (found.kind !== 'ok') throw new Error('the store answers');
  return Object.fromEntries(found.entries.map(({ key, value }) => [key, JSON.parse(value)]));
}

describe('interrupted at each call', () => {
  for (const mishap of MISHAPS)
    test(`that ${mishap}: the same command goes on, with the same cluster, keys and database`, async () => {
      const whole = manager({ database: 'own', tls: false });
      const agent = whole.agent();
      expect(await agent.start()).toBeUndefined();
      expect(agent.shown).toEqual(
        START.filter(({ quiet, when }) => !quiet && when === undefined).map(({ name }) => name),
      );
      expect(whole.look()).toMatchObject(FOUNDED);
      const { calls } = agent.outside;
      expect(calls.length).toBeGreaterThan(12);
      for (const [call, name] of calls.entries()) {
        const m = manager({ database: 'own' });
        await m.agent({ call, mishap }).start();
        const before = await keys(m);
        // An agent that is a member when it comes back is no founder any more.
        const found = await m.agent().boot();
        if (found !== 'member') expect(await m.agent().start()).toBeUndefined();
        const at = `${call} ${name}`;
        expect({ at, wrong: m.wrong, ...m.look() }).toMatchObject({ at, wrong: [], ...FOUNDED });
        const after = await keys(m);
        expect(Object.keys(after).sort()).toEqual(
          ['cluster', 'config', 'nodes/m2'].map((key) => `${m.config.consul.prefix}/${key}`),
        );
        expect({ at, ...after }).toMatchObject({ at, ...before });
        expect(m.kept().memberships.load()).toMatchObject({
          clusterId: after[`${m.config.consul.prefix}/cluster`]?.id ?? '',
        });
      }
    });

  test('with certificates: what Consul was started with stays what it is', async () => {
    const whole = manager({ database: 'own', tls: true });
    const agent = whole.agent();
    expect(await agent.start()).toBeUndefined();
    const cases = [
      ['consul.start', 'dies after'],
      ['pg.setCertificates', 'dies before'],
      ['kv.put', 'no reply'],
      ['core.run', 'fails'],
    ] as const;
    for (const [name, mishap] of cases) {
      const m = manager({ database: 'own', tls: true });
      await m.agent({ call: agent.outside.calls.indexOf(name), mishap }).start();
      const [secrets, ca] = [securityStore(m.config).secrets(), securityStore(m.config).ca()];
      expect(secrets).toBeDefined();
      if ((await m.agent().boot()) !== 'member') expect(await m.agent().start()).toBeUndefined();
      expect(securityStore(m.config).secrets()).toEqual(secrets);
      expect(securityStore(m.config).ca()).toEqual(ca);
      expect(m.keys.size).toBe(1);
      expect(m.wrong).toEqual([]);
    }
  });
});

describe('refused', () => {
  test('where there is no database: nothing is touched', async () => {
    const m = manager({});
    const before = m.look();
    const agent = m.agent();
    expect(await agent.start()).toMatchObject({ code: 'no_database' });
    expect([m.look(), agent.outside.calls]).toEqual([before, ['pg.facts']]);
  });

  test('under another name than the one it began with: there is one record of this manager', async () => {
    const m = manager({ database: 'own' });
    const { prefix } = m.config.consul;
    await m.consul.client().kv.put(`${prefix}/nodes/other`, '{}');
    expect(await m.agent().start()).toMatchObject({
      code: 'other_name',
      message: expect.stringContaining('other'),
    });
    expect(Object.keys(await keys(m))).toEqual([`${prefix}/nodes/other`]);
    expect(m.look().membership).toBeUndefined();
  });

  test("where Consul has another database's cluster: no membership is written, and nothing is opened", async () => {
    const m = manager({ database: 'own' });
    await m.consul
      .client()
      .kv.put(
        `${m.config.consul.prefix}/cluster`,
        JSON.stringify({ schema: 1, id: 'c', incarnation: 1, systemId: 'another' }),
      );
    expect(await m.agent().start()).toMatchObject({ code: 'other_cluster' });
    expect(m.look().membership).toBeUndefined();
  });

  test('while an earlier join is not undone', () => {
    const m = manager({ database: 'own' });
    m.kept().joining.save({ nodeName: 'm2', hostIp: '127.0.0.12', systemId: '1', wiped: true });
    expect(() => m.agent().start()).toThrow('only partly undone');
  });
});

test('a database that is not opened in time is said, and the agent goes on as a member', async () => {
  const m = manager({ database: 'own' });
  m.opens = false;
  expect(await m.agent().start()).toMatchObject({ code: 'not_opened' });
  expect(await m.agent().boot()).toBe('member');
});
