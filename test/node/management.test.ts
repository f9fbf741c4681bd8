import { expect, test } from 'bun:test';
import { followGossip } from '../../agent/node/gossip.ts';
import { followManagement, seal, unseal } from '../../agent/node/management.ts';
import { createCa } from '../../agent/platform/tls/ca.ts';
import { newGossipKey, newSecrets } from '../../agent/security/store.ts';
import { FakeConsul } from '../fakes/consul.ts';
import { secretsInMemory } from '../fakes/secrets.ts';

test("what is sealed opens with the authority's key alone, and not when it was altered", async () => {
  const [ca, other] = [await createCa('one'), await createCa('other')];
  const sealed = seal('a token', ca.key);
  expect(unseal(sealed, ca.key)).toBe('a token');
  expect(seal('a token', ca.key)).not.toBe(sealed);
  expect(unseal(sealed, other.key)).toBeUndefined();
  const altered = `${sealed.slice(0, -4)}${sealed.at(-4) === 'A' ? 'B' : 'A'}${sealed.slice(-3)}`;
  for (const wrong of [altered, sealed.slice(0, 30), '', 'no base64 at all'])
    expect(unseal(wrong, ca.key)).toBeUndefined();
});

test('a gossip key and a token that come at once are both kept', async () => {
  const { key: caKey } = await createCa('one');
  const { kv } = new FakeConsul({ nodes: ['m1'], now: () => 0 }).client();
  await kv.put('c/management', JSON.stringify({ schema: 1, sealed: seal('new token', caKey) }));
  const gossipKey = newGossipKey();
  await kv.put('c/gossip', JSON.stringify({ schema: 1, key: gossipKey }));
  const memory = secretsInMemory(newSecrets());
  const parts = { kv, prefix: 'c/', ...memory, configure: () => {}, caKey: () => caKey };
  expect(await Promise.all([followGossip(parts), followManagement(parts)])).toEqual([true, true]);
  expect(memory.secrets()).toMatchObject({ gossipKey, managementToken: 'new token' });
});
