import { describe, expect, test } from 'bun:test';
import { HttpKv } from '../../agent/consul/kv.ts';
import { checkPath, keyPath } from '../../agent/consul/paths.ts';
import { ConsulTransport } from '../../agent/consul/transport.ts';

describe('a path of Consul', () => {
  test.each(['a/b', 'a key/ü?#%&', 'tokens/', '..a/b..', '%2e%2e-x', 'a/...'])(
    '%p is sent as it stands',
    (key) => {
      const path = `/v1/kv/${keyPath(key)}`;
      expect(() => checkPath(path)).not.toThrow();
      expect(decodeURIComponent(path)).toBe(`/v1/kv/${key}`);
    },
  );
  test.each([
    '..',
    'a/../b',
    './a',
    'a/.',
    'a//b',
    '',
    '/',
    '/a',
    'tokens/../../../acl/token/self',
    '%2e%2e/a',
    'a/%2E',
  ])('%p leads somewhere else, and is refused', (key) => expect(() => keyPath(key)).toThrow('does not fit'));
  test.each([
    '/v1/kv/a/../../acl/token/self',
    '/v1/kv/a/%2e%2e/b',
    '/v1/kv/a\\..\\b',
    '/v1//kv',
    '/ui/',
    '//evil/v1/kv/a',
    '/v1/kv/a b',
    '/v1/kv/a%2F..%2Fb',
    '/v1/kv/a%5cb',
    'http://evil/v1/kv/a',
  ])('nothing that was put together otherwise gets past: %p', (path) =>
    expect(() => checkPath(path)).toThrow('does not fit'),
  );
  test('the client sends nothing then', async () => {
    const asked: string[] = [];
    const transport = new ConsulTransport({
      servers: ['http://127.0.0.1:1'],
      send: async ({ url }) => {
        asked.push(url);
        return { kind: 'failure', code: 'unreachable', message: '' };
      },
    });
    const kv = new HttpKv(transport);
    await expect(kv.get('p/tokens/../../../acl/token/self')).rejects.toThrow('does not fit');
    await expect(transport.call({ method: 'GET', path: '/v1/kv/../acl/token/self' })).rejects.toThrow(
      'does not fit',
    );
    expect(asked).toEqual([]);
  });
});
