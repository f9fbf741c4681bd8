/** A new authority in real folders, with real keys: three nodes, whose agents end after each step. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeConfig, type NodeConfig, requireNode } from '../../agent/config/index.ts';
import { OPEN_GATE } from '../../agent/consul/gate.ts';
import { foundSecurity } from '../../agent/membership/found_security.ts';
import { type ManagementParts, resealManagement, seal, unseal } from '../../agent/node/management.ts';
import { pemBlocks } from '../../agent/platform/tls/bundle.ts';
import { createCa } from '../../agent/platform/tls/ca.ts';
import { fingerprintOf, keyFits, signedBy } from '../../agent/platform/tls/read.ts';
import { acceptEnrolment } from '../../agent/security/admission.ts';
import type { Step } from '../../agent/security/authority.ts';
import {
  advanceAuthority,
  beginAuthority,
  membersNow,
  readAuthority,
  sealForOthers,
} from '../../agent/security/authority_drive.ts';
import { followAuthority } from '../../agent/security/authority_follow.ts';
import { signedAnew } from '../../agent/security/authority_signed.ts';
import { liveSecurity } from '../../agent/security/live.ts';
import { renewCertificates, renewExpired } from '../../agent/security/renew.ts';
import { isVouched, rootOf, rootsOf, vouch } from '../../agent/security/roots.ts';
import { sealFor, sealKeyOf, unsealOwn } from '../../agent/security/sealing.ts';
import type { SignedMemory } from '../../agent/security/signed_memory.ts';
import { signedRecords } from '../../agent/security/signed_records.ts';
import { loadSecurity, SERVICES, type Security, securityStore } from '../../agent/security/store.ts';
import { joinTokens } from '../../agent/security/tokens.ts';
import { nodeRecord } from '../core/build.ts';
import { FakeConsul } from '../fakes/consul.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'agent-ssl-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const configOf = (node: string, at = node): NodeConfig =>
  requireNode(
    makeConfig(
      { node_name: node, host_ip: '10.0.0.11', paths: { ssl_dir: join(dir, at) }, driver: 'child' },
      'test',
    ),
  );

const recordOf = (node: string) => ({ ...nodeRecord(node), hostIp: '10.0.0.11' });

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'fulfilled',
    (error: { code: string }) => error.code,
  );

/** One agent of a node: another one knows its files and nothing else. */
class Node {
  readonly name: string;
  readonly config: NodeConfig;
  live;
  applied = 0;
  constructor(name: string, config = configOf(name)) {
    this.name = name;
    this.config = config;
    this.live = liveSecurity(config);
  }
  get store() {
    return securityStore(this.config);
  }
  get security(): Security {
    const found = this.live.current();
    if (found === undefined) throw new Error(`${this.name} has no certificates`);
    return found;
  }
  again(): void {
    this.live = liveSecurity(this.config);
  }
  /** At most `limit` steps, then the agent ends. */
  async follow(record: Parameters<typeof followAuthority>[0], limit = Number.POSITIVE_INFINITY) {
    let left = limit;
    const stop = new Error('the agent ends');
    const security = {
      ...this.live,
      current: () => {
        if (left-- <= 0) throw stop;
        return this.live.current();
      },
    };
    try {
      return await followAuthority(record, {
        config: this.config,
        security,
        apply: async () => {
          this.applied++;
          return [];
        },
        ownNames: () => true,
      });
    } catch (thrown) {
      if (thrown !== stop) throw thrown;
      this.again();
      return { did: [] as Step[], stuck: null };
    }
  }
}

async function cluster() {
  const { kv } = new FakeConsul({ nodes: ['m1', 'm2', 'm3'], now: () => 0 }).client();
  const drive = { kv, prefix: 'c/', gate: OPEN_GATE };
  await foundSecurity(configOf('m1'));
  const nodes = ['m1', 'm2', 'm3'].map((name) => new Node(name));
  for (const node of nodes.slice(1)) {
    // As a join leaves it: the authority, certificates and secrets of its own.
    cpSync(join(dir, 'm1'), join(dir, node.name), { recursive: true });
    await renewCertificates(node.config);
  }
  const tell = async (node: Node) => {
    const authority = node.live.report();
    const value = { ...recordOf(node.name), ...(authority && { authority }) };
    expect((await kv.put(`c/nodes/${node.name}`, JSON.stringify(value))).kind).toBe('ok');
  };
  for (const node of nodes) {
    node.live.applied(node.security);
    await tell(node);
  }
  const record = async () => {
    const known = await readAuthority(drive);
    if (known === null) throw new Error('there is no new authority');
    return known;
  };
  /** What the active does in each round. */
  const advance = async (resealed = async () => true) =>
    advanceAuthority(drive, await record(), await membersNow(drive), resealed);
  const begin = (node: Node, hold = false) =>
    beginAuthority(drive, { security: node.security, hold, by: 'ann', id: 'f00d', version: '0.1.0' });
  return { kv, drive, nodes, tell, record, advance, begin };
}

test('it goes round although every agent ends after each of its steps, and leaves one root, one key and nothing of the old ones', async () => {
  const { nodes, tell, record, advance, begin, kv } = await cluster();
  const old = nodes[0]?.security.ca as Security['ca'];
  await begin(nodes[1] as Node);
  const { certificate } = (await record()).record;
  const fresh = fingerprintOf(certificate);
  // Asked again, it goes on with the same one.
  await begin(nodes[2] as Node);
  expect((await record()).record.certificate).toBe(certificate);

  const phases: string[] = [];
  for (let round = 0; round < 60; round++) {
    for (const node of nodes) {
      await node.follow((await record()).record, (round % 3) + 1);
      await tell(node);
      const { roots, issuers, ca } = node.security;
      expect(issuers.every((issuer) => roots.some(({ fingerprint }) => fingerprint === issuer))).toBe(true);
      expect(keyFits(ca.certificate, ca.key)).toBe(true);
    }
    const begun = await advance();
    if (begun !== null) phases.push(begun);
  }
  expect(phases).toEqual(['renew', 'drop']);
  for (const { name, config, store, security } of nodes) {
    expect([name, security.roots.map((root) => root.fingerprint)]).toEqual([name, [fresh]]);
    expect(store.keys().map((key) => keyFits(certificate, key))).toEqual([true]);
    expect(existsSync(store.files.otherKeys)).toBe(false);
    for (const service of SERVICES)
      expect(signedBy(store.pair(service)?.certificate ?? '', certificate)).toBe(true);
    const everything = [store.files.ca, store.files.caKey].map((path) => readFileSync(path, 'utf8')).join();
    expect(everything.includes(old.key) || everything.includes(old.certificate)).toBe(false);
    expect(config.node_name).toBe(name);
  }
  // What was sealed is not kept, and nothing is left to do.
  expect((await record()).record.sealed).toEqual({});
  for (const node of nodes)
    expect((await node.follow((await record()).record)).did.filter((s) => s !== 'apply')).toEqual([]);
  // And once more, from there.
  await begin(nodes[0] as Node);
  expect((await record()).record.old).toBe(fresh);
  expect((await kv.get('c/authority')).kind).toBe('ok');
});

test('a node that is away holds it up, and goes on from where it was', async () => {
  const { nodes, tell, record, advance, begin } = await cluster();
  const [m1, m2, m3] = nodes as [Node, Node, Node];
  await begin(m1);
  const work = async (...those: Node[]) => {
    for (const node of those) {
      await node.follow((await record()).record);
      await tell(node);
    }
  };
  await work(m1, m2);
  expect(await advance()).toBeNull();
  await work(m3);
  expect(await advance()).toBe('renew');
  await work(m1, m2);
  expect(await advance()).toBeNull();
  m3.again();
  await work(m3);
  expect(await advance(async () => false)).toBeNull();
  expect(await advance()).toBe('drop');
  await work(m1, m2);
  // Another one is not begun before everybody is through.
  const { certificate } = (await record()).record;
  await begin(m2);
  expect((await record()).record.certificate).toBe(certificate);
  m3.again();
  await work(m3);
  expect(m3.security.roots.map((root) => root.certificate)).toEqual([certificate]);
});

test('held, it stays where both are trusted until it is asked to go on', async () => {
  const { nodes, tell, record, advance, begin } = await cluster();
  await begin(nodes[0] as Node, true);
  for (const node of nodes) {
    await node.follow((await record()).record);
    await tell(node);
  }
  expect(await advance()).toBeNull();
  await begin(nodes[2] as Node, false);
  expect(await advance()).toBe('renew');
});

test('who joins meanwhile is waited for, gets the key once it is a member, and so does one whose certificates were renewed', async () => {
  const { kv, drive, nodes, tell, record, advance, begin } = await cluster();
  const [m1, m2, m3] = nodes as [Node, Node, Node];
  await begin(m1);
  for (const node of nodes) {
    await node.follow((await record()).record, node === m3 ? 2 : undefined);
    m3.again();
    await tell(node);
  }
  // Its box was sealed for a key that is gone.
  await renewCertificates(m3.config);
  m3.again();
  expect((await m3.follow((await record()).record)).stuck).toContain('not sealed for this node yet');
  await tell(m3);
  expect(await sealForOthers(drive, await record(), m2.store.keys(), await membersNow(drive))).toBe(true);
  expect(await sealForOthers(drive, await record(), m2.store.keys(), await membersNow(drive))).toBe(false);

  const joiner = new Node('m4');
  cpSync(join(dir, 'm1'), join(dir, 'm4'), { recursive: true });
  await renewCertificates(joiner.config);
  for (const path of [joiner.store.files.caKey, joiner.store.files.otherKeys]) rmSync(path);
  joiner.again();
  await kv.put('c/joining/m4', JSON.stringify({ schema: 1, at: 'now', node: recordOf('m4') }));
  expect((await joiner.follow((await record()).record)).stuck).toBeNull();
  expect((await m3.follow((await record()).record)).stuck).toBeNull();
  await tell(m3);
  expect(await advance()).toBeNull();
  acceptEnrolment(joiner.config, { caKey: m1.security.ca.key, managementToken: 'x' });
  await kv.delete('c/joining/m4');
  joiner.again();
  expect((await joiner.follow((await record()).record)).stuck).toContain('not sealed for this node yet');
  await tell(joiner);
  expect(await advance()).toBeNull();
  expect(await sealForOthers(drive, await record(), m2.store.keys(), await membersNow(drive))).toBe(true);
  expect((await joiner.follow((await record()).record)).stuck).toBeNull();
  await tell(joiner);
  expect(await advance()).toBe('renew');
});

test('it is not begun while a member does not say what it trusts, nor by one that may not sign', async () => {
  const { kv, nodes, begin, drive } = await cluster();
  const [m1, m2] = nodes as [Node, Node];
  await kv.put('c/nodes/m3', JSON.stringify(recordOf('m3')));
  const refused = await begin(m1).catch((error: Error & { code: string }) => error);
  expect(refused).toMatchObject({
    code: 'authority_not_ready',
    message: expect.stringContaining('m3 does not say'),
  });
  expect(await readAuthority(drive)).toBeNull();
  rmSync(m2.store.files.caKey);
  m2.again();
  expect(await codeOf(begin(m2))).toBe('not_enrolled');
});

test('a root without the word of the one before is not taken, whoever wrote it into Consul', async () => {
  const { kv, nodes, record, begin } = await cluster();
  const [m1, m2] = nodes as [Node, Node];
  await begin(m1);
  const { record: good } = await record();
  const forged = await createCa('forged');
  for (const bad of [
    { ...good, certificate: forged.certificate },
    { ...good, certificate: forged.certificate, vouched: vouch(forged, forged.certificate) },
    { ...good, certificate: forged.certificate, old: fingerprintOf(forged.certificate) },
  ]) {
    expect((await m2.follow(bad)).stuck).not.toBeNull();
    expect(m2.security.roots).toHaveLength(1);
  }
  expect((await m2.follow(good)).stuck).toBeNull();
  // What is no record at all changes nothing, and is said.
  await kv.put('c/authority', '{"schema":2}');
  expect(await codeOf(record())).toBe('authority_unreadable');
});

test('of two keys none is lost, wherever the writing of them breaks off', async () => {
  const node = (await cluster()).nodes[0] as Node;
  const fresh = await createCa('new');
  const { store } = node;
  const old = store.ca() as Security['ca'];
  store.saveRoots([rootOf(old.certificate), rootOf(fresh.certificate)]);
  store.saveKeys(old.key, [fresh.key]);
  expect(store.keys()).toEqual([old.key, fresh.key]);
  expect(store.ca()).toEqual(old);
  store.saveKeys(fresh.key, [old.key]);
  // The list of roots is as it was: the key says who signs.
  expect(store.ca()).toEqual(fresh);
  expect(pemBlocks(readFileSync(store.files.ca, 'utf8'))).toEqual([old.certificate, fresh.certificate]);
  // Broken off after its first file: both are in the second one.
  store.saveKeys(old.key, [fresh.key, old.key]);
  expect(store.keys().sort()).toEqual([old.key, fresh.key].sort());
  expect(rootsOf(`${fresh.certificate}${old.certificate}`, old.key).map((root) => root.certificate)).toEqual([
    old.certificate,
    fresh.certificate,
  ]);
});

test('a certificate whose key is already the next one is made anew before anything starts', async () => {
  const node = (await cluster()).nodes[0] as Node;
  const pair = node.store.pair('agent');
  const other = node.store.pair('consul');
  node.store.savePair('agent', { certificate: pair?.certificate ?? '', key: other?.key ?? '' });
  expect(loadSecurity(node.config)?.issuers.includes(null)).toBe(true);
  expect(await renewExpired(node.config, Date.now())).toBe(true);
  expect(loadSecurity(node.config)?.issuers.includes(null)).toBe(false);
  expect(await renewExpired(node.config, Date.now())).toBe(false);
});

test('what is sealed for a member opens with its key alone, and not when it was altered', async () => {
  const { nodes } = await cluster();
  const [m1, m2] = nodes as [Node, Node];
  const box = await sealFor(sealKeyOf(m1.security.tls.cert), 'a key');
  expect(await unsealOwn(m1.security.tls.key, box)).toBe('a key');
  const altered = `${box.slice(0, -4)}${box.at(-4) === 'A' ? 'B' : 'A'}${box.slice(-3)}`;
  for (const [key, text] of [
    [m2.security.tls.key, box],
    [m1.security.ca.key, box],
    [m1.security.tls.key, altered],
    [m1.security.tls.key, ''],
  ] as const)
    expect(await unsealOwn(key, text)).toBeUndefined();
});

test('a word for a root is for that one, and of that authority', async () => {
  const [one, two, three] = [await createCa('one'), await createCa('two'), await createCa('three')];
  const word = vouch(one, two.certificate);
  expect(isVouched(rootOf(one.certificate), two.certificate, word)).toBe(true);
  for (const [by, what, said] of [
    [one, three, word],
    [three, two, word],
    [one, two, ''],
    [one, two, 'AAAA'],
  ] as const)
    expect(isVouched(rootOf(by.certificate), what.certificate, said)).toBe(false);
});

test("Consul's management token is sealed anew before the old key goes, and opens with either until then", async () => {
  const { kv } = new FakeConsul({ nodes: ['m1'], now: () => 0 }).client();
  const [old, fresh] = [await createCa('old'), await createCa('new')];
  const parts = {
    kv,
    prefix: 'c/',
    caKey: () => fresh.key,
    otherCaKeys: () => [old.key],
  } as unknown as ManagementParts;
  expect(await resealManagement(parts, kv)).toBe(true);
  await kv.put('c/management', JSON.stringify({ schema: 1, sealed: seal('token', old.key) }));
  expect(await resealManagement({ ...parts, otherCaKeys: () => [] }, kv)).toBe(false);
  expect(await resealManagement(parts, kv)).toBe(true);
  const got = await kv.get('c/management');
  const { sealed } = JSON.parse(got.kind === 'ok' ? got.entry.value : '{}');
  expect([unseal(sealed, fresh.key), unseal(sealed, old.key)]).toEqual(['token', undefined]);
});

test('the old root is not dropped while a record, a join token or the mark is signed by it, and a forged one holds nothing up', async () => {
  const { kv } = new FakeConsul({ nodes: ['m1'], now: () => 0 }).client();
  const [old, fresh] = [await createCa('old'), await createCa('new')];
  let caPem = old.certificate;
  let ca = old;
  let remembered: SignedMemory = { clusterId: 'c', demanded: true, members: {} };
  const records = signedRecords({
    clusterId: 'c',
    security: { current: () => ({ caPem, ca }) as Security },
    store: {
      load: () => remembered,
      save: (memory) => {
        remembered = structuredClone(memory);
      },
    },
    now: () => 1000,
    failed: () => {},
  });
  const parts = { kv, prefix: 'c/', records, now: () => 1000 };
  const put = async (key: string, value: object) =>
    expect((await kv.put(`c/${key}`, JSON.stringify(value))).kind).toBe('ok');
  const node = recordOf('m1');
  await put('nodes/m1', records.sign('nodes', 'm1', node));
  await put('signed', records.sign('signed', '', { schema: 1 }));
  await joinTokens({ ...parts, prefix: 'c/' }).create(10_000, 'ann', fingerprintOf(old.certificate));
  expect(await signedAnew(parts)).toBe(true);

  [caPem, ca] = [`${fresh.certificate}${old.certificate}`, fresh];
  expect(await signedAnew(parts)).toBe(false);
  await put('nodes/m1', records.sign('nodes', 'm1', node));
  expect(await signedAnew(parts)).toBe(false);
  await put('signed', records.sign('signed', '', { schema: 1 }));
  await put('nodes/ghost', { ...recordOf('ghost'), signed: { issued: 5, signature: 'AAAA' } });
  expect(await signedAnew(parts)).toBe(true);
  // Join tokens were signed anew on the way.
  caPem = fresh.certificate;
  expect((await joinTokens({ ...parts, prefix: 'c/' }).list()).map(({ state }) => state)).toEqual(['open']);
});

test("a record that does not count is no member's word: no key is sealed for it, and it holds nothing up unless it was a member's", async () => {
  const { kv, drive, nodes } = await cluster();
  const [m1] = nodes as [Node];
  const thief = { trusts: [], keys: [], shows: null, seal: sealKeyOf(m1.security.tls.cert) };
  await kv.put('c/nodes/ghost', JSON.stringify({ ...recordOf('ghost'), authority: thief }));
  const gate = {
    refusal: (_: string, name: string) => (name === 'ghost' || name === 'm3' ? 'not signed' : undefined),
    isMember: (name: string) => name !== 'ghost',
  };
  const seen = await membersNow({ ...drive, gate });
  expect(seen.map(({ name, report }) => [name, report === undefined])).toEqual([
    ['m1', false],
    ['m2', false],
    ['m3', true],
  ]);
});
