import { expect, test } from 'bun:test';
import { type StartParts, startCluster } from '../../agent/membership/start.ts';

/** Up to the opening, everything goes well. */
function founding(opened: StartParts['opened']): StartParts {
  const done = async () => ({ kind: 'done' });
  const values = new Map<string, string>();
  return {
    kv: {
      recurse: async () => ({ kind: 'ok', entries: [] }),
      put: async (key: string, value: string) => values.set(key, value) && { kind: 'ok' },
      get: async (key: string) => ({ kind: 'ok', entry: { value: values.get(key) } }),
    },
    become: async () => {},
    opened,
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
    { open: false, reason: 'first start', failingFor: 0 },
    { open: false, reason: 'first start; failed: no database "x"', failingFor: 9000 },
    { open: false, reason: 'first start; failed: no database "x"', failingFor: 10_001 },
  ];
  const parts = founding(() => answers.shift() ?? { open: true, reason: '', failingFor: 0 });
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
