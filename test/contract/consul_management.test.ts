/**
 * The management token on real servers: after a removal the old one opens nothing, and every member has the
 * new one.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConsulAdmin, createConsulAdmin } from '../../agent/consul/admin.ts';
import {
  endOldManagement,
  followManagement,
  type ManagementParts,
  rotateManagement,
} from '../../agent/node/management.ts';
import { until } from '../../agent/platform/clock.ts';
import type { ClientTls } from '../../agent/platform/tls/fetch.ts';
import { newSecrets, type Secrets } from '../../agent/security/store.ts';
import { secretsInMemory } from '../fakes/secrets.ts';
import { issue, PREFIX, SecureConsul } from '../fixtures/consul_secure.ts';

const IPS = ['127.0.45.1', '127.0.45.2', '127.0.45.3'] as const;
const [FIRST, SECOND, THIRD] = IPS;
let consul: SecureConsul;
let tls: ClientTls;

beforeAll(async () => {
  consul = await SecureConsul.start(IPS, mkdtempSync(join(tmpdir(), 'consul-management-')));
  const { certificate, key } = await issue(consul.ca, 'client', [FIRST]);
  tls = { ca: consul.ca.certificate, cert: certificate, key };
}, 120_000);
afterAll(() => consul?.stop(), 30_000);

const adminWith = (token: string, servers: readonly string[] = IPS): ConsulAdmin =>
  createConsulAdmin({ servers: servers.map((ip) => `https://${ip}:8501`), tls: () => tls, token });

/** A member with its files; `caKey` empty: one that is only reserved. */
function member(
  ip: string,
  caKey = consul.ca.key,
): ManagementParts & { secrets(): Secrets; configured: number } {
  const made = {
    kv: consul.remote(ip, tls, consul.token(ip)).kv,
    prefix: `${PREFIX}/`,
    ...secretsInMemory({
      ...newSecrets(),
      managementToken: caKey === '' ? '' : consul.management,
      consulToken: consul.token(ip),
    }),
    configured: 0,
    configure: () => void made.configured++,
    caKey: () => caKey,
  };
  return made;
}
const adminOf = (one: { secrets(): Secrets }) => () => adminWith(one.secrets().managementToken);
/** May this token still make others? */
const opens = async (token: string, ip: string): Promise<boolean> =>
  (await adminWith(token, [ip]).acl.createNodeToken('probe', PREFIX, 'd0d0d0d0-0000-4000-8000-000000000001'))
    .kind === 'ok';

test('a new one is made, told sealed, followed by every member, and the old one opens nothing', async () => {
  const active = member(FIRST);
  const other = member(SECOND);
  const reserved = member(THIRD, '');
  expect(await opens(consul.management, SECOND)).toBe(true);
  await rotateManagement(active, adminOf(active));
  const { managementToken } = active.secrets();
  expect(managementToken).not.toBe(consul.management);
  expect(active.configured).toBe(1);
  for (const ip of IPS) {
    expect([await opens(consul.management, ip), await opens(managementToken, ip)]).toEqual([false, true]);
  }
  // What it knew is enough for nothing else, either.
  const old = adminWith(consul.management, [SECOND]);
  expect((await old.kv.put(`${PREFIX}/management`, 'x')).kind).toBe('unknown');
  expect((await old.catalog.removeRaftPeer('none')).kind).toBe('unknown');

  const told = await active.kv.get(`${PREFIX}/management`);
  expect(told.kind === 'ok' && told.entry.value.includes(managementToken)).toBe(false);
  expect([await followManagement(other), other.secrets().managementToken]).toEqual([true, managementToken]);
  expect(await followManagement(other)).toBe(false);
  expect([await followManagement(reserved), reserved.secrets().managementToken]).toEqual([false, '']);
  // A node's own token reads the key and cannot put another's in its place.
  expect((await other.kv.put(`${PREFIX}/management`, 'x')).kind).toBe('unknown');
}, 60_000);

test('one that broke off leaves every member with a good one, and run again leaves only the newest', async () => {
  const active = member(FIRST);
  expect(await followManagement(active)).toBe(true);
  const before = active.secrets().managementToken;
  const broken = () => {
    const made = adminOf(active)();
    return {
      acl: made.acl,
      kv: { put: async () => ({ kind: 'unknown', cause: { code: 'timeout', message: '' } }) },
    };
  };
  await expect(rotateManagement(active, broken as never)).rejects.toMatchObject({
    code: 'management_not_rotated',
  });
  expect([active.secrets().managementToken, await opens(before, SECOND)]).toEqual([before, true]);
  await rotateManagement(active, adminOf(active));
  const after = active.secrets().managementToken;
  expect([await opens(before, SECOND), await opens(after, SECOND)]).toEqual([false, true]);
}, 60_000);

test('of two at once one fails, and every member has one that is good', async () => {
  const [one, other] = [member(FIRST), member(FIRST)];
  for (const each of [one, other]) await followManagement(each);
  const done = await Promise.allSettled([one, other].map((each) => rotateManagement(each, adminOf(each))));
  expect(done.some(({ status }) => status === 'fulfilled')).toBe(true);
  const third = member(THIRD);
  await followManagement(third);
  expect(await opens(third.secrets().managementToken, SECOND)).toBe(true);
  // While one is being made the active looks for old ones: it leaves the new one alone.
  const token = 'e0e0e0e0-0000-4000-8000-000000000001';
  await adminOf(third)().acl.createManagementToken(token);
  await endOldManagement(third, adminOf(third));
  expect(await opens(token, SECOND)).toBe(true);
}, 60_000);

test('a newly elected server that has the first one in its memory brings it back, and the active ends it', async () => {
  const active = member(SECOND);
  await followManagement(active);
  const { managementToken } = active.secrets();
  const leader = await adminWith(managementToken).catalog.leader();
  const led = consul.servers.find(({ ip }) => JSON.stringify(leader).includes(`${ip}:8300`));
  await led?.stop();
  const left = IPS.filter((ip) => ip !== led?.ip);
  expect(left.length).toBe(2);
  const there = left[0] ?? '';
  expect(await until(() => opens(managementToken, there), { timeout: 60_000, every: 250 })).toBe(true);
  // This is what the active guards against: were it no longer so, the guard could go.
  expect(await until(() => opens(consul.management, there), { timeout: 30_000, every: 250 })).toBe(true);
  const kv = consul.remote(there, tls, consul.token(SECOND)).kv;
  await endOldManagement({ ...active, kv }, () => adminWith(managementToken, [there]));
  expect([await opens(consul.management, there), await opens(managementToken, there)]).toEqual([false, true]);
  // One that missed the change ends nothing.
  await endOldManagement({ ...member(SECOND), kv }, () => adminWith(managementToken, [there]));
  expect(await opens(managementToken, there)).toBe(true);
}, 150_000);
