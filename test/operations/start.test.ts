import { expect, test } from 'bun:test';
import { type StartParts, startCluster } from '../../agent/operations/start.ts';

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
        examine: async () => [
          { what: 'a', mend: 'set b' },
          { what: 'c', mend: 'set d' },
        ],
      }),
      consul: only('consul', {}),
      files: only('files', {}),
      machine: only('machine', {}),
    },
  } as unknown as StartParts;
  await expect(startCluster(parts, { step: (_, body) => body(() => {}) })).rejects.toMatchObject({
    code: 'database_not_fit',
    message: 'a; c',
    hint: 'set b; set d',
  });
  expect(touched).toEqual([]);
});
