/**
 * Whoever stole a member's tokens for Consul, and not the authority's key, writes what it likes on a real
 * server: it gets nothing.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConsulClient } from '../../agent/consul/client.ts';
import type { ConsulKv } from '../../agent/consul/port.ts';
import { until } from '../../agent/platform/clock.ts';
import { parseToken } from '../../agent/security/join_token.ts';
import { replicationNames } from '../../agent/security/names.ts';
import { isEnrolled } from '../../agent/security/who.ts';
import { issue, SecureConsul } from '../fixtures/consul_secure.ts';
import { type Member, member, nodeOf, PREFIX, securityWith, stateOf } from '../fixtures/signed.ts';

const IP = '127.0.46.1';
let consul: SecureConsul;
let active: Member;
let standby: Member;
let management: ConsulKv;
let stolen: ConsulKv;

const put = async (key: string, value: object) =>
  expect((await management.put(`${PREFIX}${key}`, JSON.stringify(value))).kind).toBe('ok');
const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => 'let in',
    ({ code }) => code,
  );
const evil = nodeOf('evil', 66);
const reservation = { schema: 1, at: new Date().toISOString(), lifeMs: 600_000, node: nodeOf('worse', 67) };

beforeAll(async () => {
  consul = await SecureConsul.start([IP], mkdtempSync(join(tmpdir(), 'consul-signed-')));
  const { certificate, key } = await issue(consul.ca, 'client', [IP]);
  const tls = { ca: consul.ca.certificate, cert: certificate, key };
  const kvWith = (token: string) =>
    createConsulClient({ servers: [`https://${IP}:8501`], tls: () => tls, token }).kv;
  [management, stolen] = [kvWith(consul.management), kvWith(consul.token(IP))];
  const held = securityWith(consul.ca, [consul.ca.certificate]);
  [active, standby] = [member(management, held), member(stolen, held)];
  await put('nodes/m1', nodeOf('m1', 11));
  await put('nodes/m2', nodeOf('m2', 12));
  // Of before: until all members sign, what is there counts.
  await put('state/m1', stateOf(true));
  await put('state/m2', stateOf(false));
  await active.keep();
  expect([active.records.demanded(), Object.keys((await standby.view()).nodes)]).toEqual([
    false,
    ['m1', 'm2'],
  ]);
  await put('state/m2', stateOf(true));
  const done = await until(
    async () => {
      await active.keep();
      return (await active.view()) && (await standby.view()) && standby.records.demanded();
    },
    { timeout: 30_000 },
  );
  expect([done, active.records.demanded()]).toEqual([true, true]);
}, 120_000);
afterAll(() => consul?.stop(), 30_000);

test("a node's token writes neither records nor the mark", async () => {
  for (const key of ['nodes/evil', 'joining/worse', 'tokens/0badc0de', 'signed']) {
    expect(await stolen.put(`${PREFIX}${key}`, '{}')).toMatchObject({ cause: { code: 'denied' } });
    expect(await stolen.delete(`${PREFIX}${key}`)).toMatchObject({ cause: { code: 'denied' } });
  }
}, 30_000);

test('the management token writes them, and nobody is let in by it: no member, no reservation, no join token', async () => {
  await put('nodes/evil', evil);
  await put('joining/worse', reservation);
  const thief = member(management, undefined);
  const { token, row } = await thief.tokens().create(600_000, 'eve', 'ab'.repeat(32));
  for (const at of [active, standby, active.restarted()]) {
    const view = await at.view();
    expect([Object.keys(view.nodes), view.joining]).toEqual([['m1', 'm2'], undefined]);
    expect(Object.keys(view.unreadable ?? {})).toEqual(['joining/worse', 'nodes/evil']);
    expect(isEnrolled(view, 'evil', evil.proof ?? '')).toBe(false);
    expect(replicationNames(view.nodes).join()).not.toMatch(/evil|worse/);
    const [wanted, shown] = [{ node: 'evil', hostIp: evil.hostIp, key: 'k' }, parseToken(token)];
    const codes = [await codeOf(at.tokens().check(shown)), await codeOf(at.tokens().use(shown, wanted))];
    expect(codes).toEqual(['token_invalid', 'token_invalid']);
    expect(await at.tokens().list()).toMatchObject([{ id: row.id, state: 'unsigned' }]);
  }
  // The active goes on signing what counts, and this does not.
  await active.keep();
  expect(Object.keys((await standby.view()).nodes)).toEqual(['m1', 'm2']);
}, 60_000);

test('it takes the mark and a tombstone away, and puts a removed member back: still nobody', async () => {
  const old = await management.get(`${PREFIX}nodes/m2`);
  const tombstone = active.records.sign('removed', 'm2', { schema: 1, at: '' });
  await management.delete(`${PREFIX}nodes/m2`);
  await put('removed/m2', tombstone);
  await active.view();
  await standby.view();
  for (const key of ['removed/m2', 'signed'])
    expect((await management.delete(`${PREFIX}${key}`)).kind).toBe('ok');
  expect(old.kind).toBe('ok');
  if (old.kind === 'ok') await management.put(`${PREFIX}nodes/m2`, old.entry.value);
  for (const at of [active, standby, standby.restarted()]) {
    const view = await at.view();
    expect([Object.keys(view.nodes), Object.keys(view.unreadable ?? {})]).toEqual([
      ['m1'],
      ['joining/worse', 'nodes/evil', 'nodes/m2'],
    ]);
  }
  await active.keep();
  expect((await management.get(`${PREFIX}signed`)).kind).toBe('ok');
}, 60_000);
