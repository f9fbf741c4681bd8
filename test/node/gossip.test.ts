import { beforeEach, expect, test } from 'bun:test';
import { followGossip, type GossipParts, rotateGossip } from '../../agent/node/gossip.ts';
import { newGossipKey, newSecrets, type Secrets } from '../../agent/security/store.ts';
import { FakeConsul } from '../fakes/consul.ts';
import { secretsInMemory } from '../fakes/secrets.ts';

let consul: FakeConsul;
const done: string[] = [];
const NEW = newGossipKey();

function member(name: string): GossipParts & { secrets(): Secrets } {
  return {
    kv: consul.client().kv,
    prefix: 'c/',
    ...secretsInMemory({ ...newSecrets(), gossipKey: 'old' }, () => done.push(`${name} saved`)),
    configure: () => void done.push(`${name} configured`),
  };
}

beforeEach(() => {
  consul = new FakeConsul({ nodes: ['m1', 'm2'], now: () => 0 });
  done.length = 0;
});

test('a new key is in Consul and in the own files before the servers use it', async () => {
  const active = member('m1');
  let inConsul = '';
  await rotateGossip(active, {
    keyring: {
      rotate: async (key: string) => {
        const got = await consul.client().kv.get('c/gossip');
        inConsul = got.kind === 'ok' ? got.entry.value : '';
        expect(active.secrets().gossipKey).toBe(key);
        done.push('rotated');
        return { kind: 'ok' };
      },
    } as never,
  });
  expect(JSON.parse(inConsul)).toEqual({ schema: 1, key: active.secrets().gossipKey });
  expect(done).toEqual(['m1 saved', 'm1 configured', 'rotated']);
});

test('a member that was away takes it over once, and another that has it changes nothing', async () => {
  await consul.client().kv.put('c/gossip', JSON.stringify({ schema: 1, key: NEW }));
  const away = member('m2');
  expect(await followGossip(away)).toBe(true);
  expect(away.secrets()).toMatchObject({ gossipKey: NEW });
  expect(await followGossip(away)).toBe(false);
  expect(done).toEqual(['m2 saved', 'm2 configured']);
});

test('without a key in Consul the one from the start stays', async () => {
  const one = member('m1');
  expect(await followGossip(one)).toBe(false);
  expect(one.secrets().gossipKey).toBe('old');
});

test.each(['', 'new', `${NEW}"\n`, NEW.slice(0, 20), 7])(
  'what is no key is not taken over: %p',
  async (key) => {
    await consul.client().kv.put('c/gossip', JSON.stringify({ schema: 1, key }));
    const one = member('m1');
    expect(await followGossip(one)).toBe(false);
    expect(one.secrets().gossipKey).toBe('old');
    expect(done).toEqual([]);
  },
);
