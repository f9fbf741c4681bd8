/** Made at start, asked for at join, made anew at a renewal: in real folders, with real keys. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeConfig, type NodeConfig, requireNode } from '../../agent/config/index.ts';
import { foundSecurity } from '../../agent/membership/found_security.ts';
import { createCa } from '../../agent/platform/tls/ca.ts';
import { fingerprintOf, keyFits, readCertificate, signedBy } from '../../agent/platform/tls/read.ts';
import {
  acceptAdmission,
  acceptEnrolment,
  admitSecurity,
  prepareJoin,
} from '../../agent/security/admission.ts';
import { issueOwn, namesOf } from '../../agent/security/certificates.ts';
import {
  applyRenewal,
  expiries,
  renewalDue,
  renewCertificates,
  renewExpired,
} from '../../agent/security/renew.ts';
import { hashOf, loadSecurity, SERVICES, type Security, securityStore } from '../../agent/security/store.ts';
import { joinTokens } from '../../agent/security/tokens.ts';
import { FakeConsul } from '../fakes/consul.ts';

const DAY = 86_400_000;
let dir: string;

const configOf = (node: string, hostIp: string, more: Record<string, unknown> = {}): NodeConfig =>
  requireNode(
    makeConfig(
      { node_name: node, host_ip: hostIp, paths: { ssl_dir: join(dir, node) }, driver: 'child', ...more },
      'test',
    ),
  );

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'agent-ssl-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'fulfilled',
    (error: { code: string }) => error.code,
  );

async function founded(config = configOf('m1', '10.0.0.11')): Promise<Security> {
  const made = await foundSecurity(config);
  if (made === undefined) throw new Error('nothing was made');
  return made;
}

describe('a start', () => {
  test('makes an authority and a certificate per service, readable by whom they are for alone', async () => {
    const config = configOf('m1', 'fd00::11', { public_ip: '203.0.113.1' });
    const made = await founded(config);
    const { files } = securityStore(config);
    for (const service of ['agent', 'consul', 'postgres'] as const) {
      const at = files.pair(service);
      const pem = readFileSync(at.certificate, 'utf8');
      expect(signedBy(pem, made.caPem)).toBe(true);
      expect(keyFits(pem, readFileSync(at.key, 'utf8'))).toBe(true);
      expect(readCertificate(pem).commonName).toBe(`${service}.${made.certificate.name}`);
      expect(readCertificate(pem).names.includes('server.cloudify.consul')).toBe(service === 'consul');
      expect(readCertificate(pem).names).toContain('IP Address:203.0.113.1');
      expect(statSync(at.key).mode & 0o777).toBe(service === 'consul' ? 0o640 : 0o600);
    }
    expect(made.certificate.name).toMatch(/^m1\.[0-9a-f]{12}$/);
    for (const path of [files.caKey, files.secrets]) expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test('that is repeated keeps what is there, and makes what an interruption left out', async () => {
    const config = configOf('m1', '10.0.0.11');
    const first = await founded(config);
    expect(await founded(config)).toEqual(first);
    rmSync(securityStore(config).files.pair('postgres').certificate);
    const again = await founded(config);
    expect([again.ca, again.secrets]).toEqual([first.ca, first.secrets]);
    expect(again.postgres.certPem).not.toBe(first.postgres.certPem);
  });

  test('of a plain cluster makes nothing, and forgetting leaves nothing', async () => {
    const plain = configOf('m2', '127.0.0.12', { api: { tls: false } });
    expect(await foundSecurity(plain)).toBeUndefined();
    expect(readdirSync(dir)).toEqual([]);
    const config = configOf('m1', '10.0.0.11');
    await founded(config);
    securityStore(config).forget();
    const left = readdirSync(join(dir, 'm1'), { recursive: true, withFileTypes: true });
    expect(left.filter((entry) => entry.isFile())).toEqual([]);
    expect(loadSecurity(config)).toBeUndefined();
  });
});

describe('a join', () => {
  const tokens = joinTokens({
    kv: new FakeConsul({ nodes: ['m1'], now: () => 0 }).client().kv,
    prefix: 'c/',
    now: () => 0,
  });
  const nodeTokens: string[][] = [];
  const partsOf = (security: Security) => ({
    security,
    tokens,
    datacenter: 'cloudify',
    ownNames: true,
    createNodeToken: async (node: string, secret: string) => {
      nodeTokens.push([node, secret]);
    },
  });
  const joiner = { nodeName: 'm2', hostIp: '10.0.0.12', publicIp: null };

  test('brings certificates for keys that never left, and with the enrolment everything a member holds', async () => {
    const active = await founded();
    const { token } = await tokens.create(1000, 'ann', fingerprintOf(active.caPem));
    const config = configOf('m2', '10.0.0.12');
    const secrets = await prepareJoin(config, token);
    expect(JSON.stringify(secrets.request)).not.toContain('PRIVATE');
    const admitted = await admitSecurity(partsOf(active), joiner, secrets.request);
    const made = acceptAdmission(config, secrets, admitted.admission);
    expect(made.caPem).toBe(active.caPem);
    expect(made.certificate).toEqual(admitted.certificate);
    expect(made.proof).toBe(admitted.proof);
    expect(made.proof).toBe(hashOf(made.secrets.peerToken));
    expect(nodeTokens.at(-1)).toEqual(['m2', made.secrets.consulToken]);
    expect(made.secrets.gossipKey).toBe(active.secrets.gossipKey);
    // Who was admitted only can let nobody in.
    const told = JSON.stringify(admitted.admission);
    for (const secret of [active.ca.key, active.secrets.managementToken])
      expect(told).not.toContain(JSON.stringify(secret).slice(1, -1));
    expect([made.ca.key, made.secrets.managementToken]).toEqual(['', '']);
    expect(await codeOf(renewCertificates(config))).toBe('not_enrolled');
    const { managementToken } = active.secrets;
    const foreign = (await founded(configOf('m9', '10.0.0.19'))).ca.key;
    expect(() => acceptEnrolment(config, { caKey: foreign, managementToken })).toThrow('do not match');
    acceptEnrolment(config, { caKey: active.ca.key, managementToken });
    const member = loadSecurity(config);
    expect([member?.ca.key, member?.secrets.managementToken]).toEqual([active.ca.key, managementToken]);
    // Asked again with the same, as after a lost answer.
    const again = await admitSecurity(partsOf(active), joiner, secrets.request);
    expect(acceptAdmission(config, secrets, again.admission).proof).toBe(made.proof);
    const replayed = await prepareJoin(config, token);
    expect(await codeOf(admitSecurity(partsOf(active), joiner, replayed.request))).toBe('token_used');
  });

  test('without a token, or with requests that are none, gets nothing', async () => {
    const active = await founded();
    expect(await codeOf(admitSecurity(partsOf(active), joiner, undefined))).toBe('token_missing');
    expect(await codeOf(prepareJoin(configOf('m2', '10.0.0.12'), undefined))).toBe('token_missing');
    const { token } = await tokens.create(1000, 'ann', fingerprintOf(active.caPem));
    const { request } = await prepareJoin(configOf('m2', '10.0.0.12'), token);
    const forged = { ...request, requests: { ...request.requests, consul: active.tls.cert } };
    expect(await codeOf(admitSecurity(partsOf(active), joiner, forged))).toBe('bad_request');
  });

  test('writes nothing of an answer with another authority or with certificates for other keys', async () => {
    const active = await founded();
    const config = configOf('m2', '10.0.0.12');
    const { token } = await tokens.create(1000, 'ann', fingerprintOf(active.caPem));
    const secrets = await prepareJoin(config, token);
    const { admission } = await admitSecurity(partsOf(active), joiner, secrets.request);
    for (const wrong of [
      { ...admission, ca: await createCa('impostor') },
      { ...admission, certificates: { ...admission.certificates, postgres: active.postgres.certPem } },
    ])
      expect(() => acceptAdmission(config, secrets, wrong)).toThrow('do not match');
    expect(loadSecurity(config)).toBeUndefined();
  });
});

describe('a renewal', () => {
  test('makes new keys under the same name, holds for 90 days, and is due only in the last third', async () => {
    const config = configOf('m1', '10.0.0.11');
    const before = await founded(config);
    const made = Date.now();
    const days = expiries(config).map(({ what, notAfter }) => [what, Math.round((notAfter - made) / DAY)]);
    expect(days.filter(([what]) => what !== 'ca')).toEqual(SERVICES.map(() => [expect.any(String), 90]));
    expect(renewalDue(config, made + 59 * DAY)).toBe(false);
    expect(renewalDue(config, made + 61 * DAY)).toBe(true);
    // It warns when renewing has failed for two weeks, and not before.
    expect(config.checks.certificate_warning).toBeLessThan(30 * DAY);
    const after = await renewCertificates(config, { days: 10 });
    expect(after.certificate.name).toBe(before.certificate.name);
    expect(after.certificate.fingerprint).not.toBe(before.certificate.fingerprint);
    expect([after.ca, after.secrets]).toEqual([before.ca, before.secrets]);
    const [soonest] = expiries(config);
    expect(Math.round(((soonest?.notAfter ?? 0) - made) / DAY)).toBe(10);
  });

  test('tells every user of certificates, whatever one of them says', async () => {
    const security = await founded();
    const told: string[] = [];
    const failed = await applyRenewal(security, {
      agent: async () => void told.push('agent'),
      consul: async () => {
        throw new Error('no answer');
      },
      postgres: async () => void told.push('postgres'),
    });
    expect(told).toEqual(['postgres', 'agent']);
    expect(failed).toEqual(['consul: no answer']);
  });

  test('of a plain cluster is refused', async () => {
    const plain = configOf('m2', '127.0.0.12', { api: { tls: false } });
    expect(await codeOf(renewCertificates(plain))).toBe('no_certificates');
    expect(expiries(plain)).toEqual([]);
  });

  test('of what is over already is made before anything starts, by a member that holds the key of the authority', async () => {
    const config = configOf('m1', '10.0.0.11');
    const { ca, secrets } = await founded(config);
    const now = Date.now();
    expect(await renewExpired(config, now)).toBe(false);
    const later = now + 91 * DAY;
    const store = securityStore(config);
    rmSync(store.files.caKey);
    expect(await renewExpired(config, later)).toBe(false);
    store.saveCa(ca);
    const before = store.pair('consul');
    expect(await renewExpired(config, later)).toBe(true);
    expect(store.pair('consul')).not.toEqual(before);
    expect(loadSecurity(config)?.secrets).toEqual(secrets);
  });

  test('is due at once for certificates that begin in the future: the clock was wrong when they were made', async () => {
    const config = configOf('m1', '10.0.0.11');
    await founded(config);
    expect([renewalDue(config, Date.now()), renewalDue(config, Date.now() - 2 * DAY)]).toEqual([false, true]);
  });

  test('keeps the name that all services shared until everybody knows the new ones, then gives each its own', async () => {
    const config = configOf('m1', '10.0.0.11');
    const { ca } = await founded(config);
    const store = securityStore(config);
    const shared = await issueOwn(ca, namesOf(config), 'm1.0a0a0a0a0a0a', { shared: true });
    for (const service of SERVICES) store.savePair(service, shared[service]);
    const nameOf = (service: (typeof SERVICES)[number]) =>
      readCertificate(store.pair(service)?.certificate ?? '').commonName;
    const record = { name: 'm1.0a0a0a0a0a0a', fingerprint: expect.any(String) };
    expect(loadSecurity(config)?.certificate).toEqual(record);
    expect((await renewCertificates(config)).certificate).toEqual(record);
    expect(SERVICES.map(nameOf)).toEqual(SERVICES.map(() => record.name));
    // One that broke off after the first counts as not done.
    const own = await issueOwn(ca, namesOf(config), record.name);
    store.savePair('agent', own.agent);
    expect(loadSecurity(config)?.certificate).toEqual(record);
    const moved = { ...record, services: true };
    expect((await renewCertificates(config, { ownNames: true })).certificate).toEqual(moved);
    expect(SERVICES.map(nameOf)).toEqual(SERVICES.map((service) => `${service}.${record.name}`));
    expect((await renewCertificates(config)).certificate).toEqual(moved);
  });
});
