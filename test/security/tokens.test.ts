import { beforeEach, describe, expect, test } from 'bun:test';
import { parseToken } from '../../agent/security/join_token.ts';
import { type JoinTokens, joinTokens, REPEAT } from '../../agent/security/tokens.ts';
import { FakeConsul } from '../fakes/consul.ts';

const FINGERPRINT = 'ab'.repeat(32);
const HOUR = 3_600_000;
const M4 = { node: 'm4', hostIp: '10.0.0.14', key: 'k4' };
const M5 = { node: 'm5', hostIp: '10.0.0.15', key: 'k5' };

let now = 0;
let tokens: JoinTokens;
let other: JoinTokens;
let consul: FakeConsul;

beforeEach(() => {
  now = 1_000_000;
  consul = new FakeConsul({ nodes: ['m1', 'm2'], now: () => now });
  const make = () => joinTokens({ kv: consul.client().kv, prefix: 'cloudify/cluster/', now: () => now });
  tokens = make();
  other = make();
});

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'fulfilled',
    (error: { code: string }) => error.code,
  );
const made = async () => parseToken((await tokens.create(HOUR, 'ann', FINGERPRINT)).token);

describe('a join token', () => {
  test('names the authority, and Consul has its hash and not its secret', async () => {
    const { token, row } = await tokens.create(HOUR, 'ann', FINGERPRINT);
    const parsed = parseToken(token);
    expect(parsed.fingerprint).toBe(FINGERPRINT);
    expect(row).toMatchObject({ id: parsed.id, by: 'ann', state: 'open', usedBy: null });
    const stored = await consul.client().kv.get(`cloudify/cluster/tokens/${parsed.id}`);
    expect(stored.kind === 'ok' && stored.entry.value).not.toContain(parsed.secret);
  });

  test('that is cut off or of another form is refused before anybody is asked', () => {
    for (const text of ['', 'abc', `aaaa0001.${'x'.repeat(42)}.${'y'.repeat(43)}`])
      expect(() => parseToken(text)).toThrow('cut off or altered');
  });

  test('lets one manager in, and no other one', async () => {
    const token = await made();
    await tokens.use(token, M4);
    expect(await codeOf(tokens.use(token, M5))).toBe('token_used');
    expect(await tokens.list()).toMatchObject([{ state: 'used', usedBy: 'm4' }]);
  });

  test('asked for by two at once goes to exactly one', async () => {
    const token = await made();
    const codes = await Promise.all([codeOf(tokens.use(token, M4)), codeOf(other.use(token, M5))]);
    expect(codes.sort()).toEqual(['fulfilled', 'token_used']);
  });

  test('is good again for the same joiner for a while, until it has entered', async () => {
    const token = await made();
    await tokens.use(token, M4);
    now += REPEAT;
    await tokens.use(token, M4);
    expect(await codeOf(tokens.use(token, { ...M4, key: 'another key' }))).toBe('token_used');
    await tokens.spend('m4');
    expect(await codeOf(tokens.use(token, M4))).toBe('token_used');
  });

  test('is spent for the same joiner, too, when that took too long', async () => {
    const token = await made();
    await tokens.use(token, M4);
    now += REPEAT + 1;
    expect(await codeOf(tokens.use(token, M4))).toBe('token_used');
  });

  test('that expired, was altered or was revoked is refused with the reason', async () => {
    const token = await made();
    expect(await codeOf(tokens.use({ ...token, secret: `${token.secret}x` }, M4))).toBe('token_invalid');
    expect(await codeOf(tokens.use({ ...token, id: 'ffffffff' }, M4))).toBe('token_invalid');
    const late = await made();
    expect(await tokens.revoke(token.id)).toBe(true);
    expect(await tokens.revoke(token.id)).toBe(false);
    expect(await codeOf(tokens.use(token, M4))).toBe('token_invalid');
    now += HOUR;
    expect(await codeOf(tokens.use(late, M4))).toBe('token_expired');
    expect(await tokens.list()).toMatchObject([{ id: late.id, state: 'expired' }]);
  });
});
