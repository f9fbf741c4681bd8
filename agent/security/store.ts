/**
 * What a member of a cluster with TLS holds in `ssl_dir`: the cluster's authority and its key, a certificate
 * per service, and its secrets. Written durably, each file in one step; keys before the certificates that
 * need them.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import type { Config, NodeConfig } from '../config/index.ts';
import type { NodeRecord } from '../core/records.ts';
import {
  GROUP_READABLE,
  makeDir,
  PRIVATE,
  readJson,
  removeDurably,
  writeDurably,
  writeJson,
} from '../platform/files.ts';
import { pemBlocks, pemText } from '../platform/tls/bundle.ts';
import type { Ca } from '../platform/tls/ca.ts';
import type { ClientTls } from '../platform/tls/fetch.ts';
import { keyFits, readCertificate } from '../platform/tls/read.ts';
import type { ConsulSecurity } from '../roles/consul/config.ts';
import { hasOwnName, membershipOf } from './names.ts';
import { issuerOf, type Root, rootsOf, stampOf } from './roots.ts';

/** Each has a key of its own, because each runs as a user of its own. */
export const SERVICES = ['agent', 'consul', 'postgres'] as const;
export type ServiceName = (typeof SERVICES)[number];

const secretsSchema = v.object({
  /** What this node proves itself with to its peers; they know the hash. */
  peerToken: v.string(),
  /** This node's Consul token, scoped to its keys. */
  consulToken: v.string(),
  /** Consul's management token: the active's, so every member's. Empty until this node is enrolled. */
  managementToken: v.string(),
  /** 32 bytes in base64: what Consul's gossip is encrypted with. */
  gossipKey: v.string(),
});
export type Secrets = v.InferOutput<typeof secretsSchema>;

export type Pair = { readonly certificate: string; readonly key: string };

const PUBLIC = 0o644;

export const newGossipKey = (): string => randomBytes(32).toString('base64');
export const newSecrets = (): Secrets => ({
  peerToken: randomBytes(32).toString('base64url'),
  consulToken: randomUUID(),
  managementToken: randomUUID(),
  gossipKey: newGossipKey(),
});

/** What is kept of a token elsewhere. It has 256 bits of chance: a plain hash cannot be searched. */
export const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex');

export function securityFiles(config: Config) {
  const { ssl_dir } = config.paths;
  const own = join(ssl_dir, 'agent');
  return {
    dir: ssl_dir,
    ca: join(ssl_dir, 'ca.pem'),
    caKey: join(ssl_dir, 'ca.key'),
    /** While the authority is renewed: the key that does not sign, not yet or no more. */
    otherKeys: join(ssl_dir, 'ca-others.key'),
    secrets: join(own, 'secrets.json'),
    /** PostgreSQL's is handed to its helper, which keeps a copy its server may read. */
    pair: (service: ServiceName) => {
      const dir = service === 'consul' ? join(ssl_dir, 'consul') : own;
      const name = service === 'postgres' ? 'postgres' : '';
      return {
        certificate: join(dir, name === '' ? 'cert.pem' : `${name}.pem`),
        key: join(dir, name === '' ? 'key.pem' : `${name}.key`),
        mode: service === 'consul' ? GROUP_READABLE : PRIVATE,
      };
    },
  };
}

const read = (path: string): string | undefined =>
  existsSync(path) ? readFileSync(path, 'utf8') : undefined;

export function securityStore(config: Config) {
  const files = securityFiles(config);
  const signingKey = (): string => read(files.caKey) ?? '';
  const roots = (): Root[] => rootsOf(read(files.ca) ?? '', signingKey());
  const keys = (): string[] => [
    ...new Set([...pemBlocks(signingKey()), ...pemBlocks(read(files.otherKeys) ?? '')]),
  ];
  return {
    files,
    /**
     * The one that signs. `key` is empty until this node is enrolled: who is admitted only may check, and
     * sign nothing.
     */
    ca(): Ca | undefined {
      const [signing] = roots();
      return signing === undefined ? undefined : { certificate: signing.certificate, key: signingKey() };
    },
    /** All that are trusted; the one that signs first. */
    roots,
    saveRoots(trusted: readonly Root[]): void {
      makeDir(files.dir);
      writeDurably(files.ca, pemText(trusted.map(({ certificate }) => certificate)), PUBLIC);
    },
    /** Keys of roots; the one that signs first. */
    keys,
    /** Broken off anywhere, no key is lost: what is given up goes last. */
    saveKeys(signing: string, others: readonly string[]): void {
      makeDir(files.dir);
      const all = new Set([...others, ...keys(), signing]);
      if (all.size > 1) writeDurably(files.otherKeys, pemText([...all]), PRIVATE);
      writeDurably(files.caKey, signing, PRIVATE);
      if (others.length > 0) writeDurably(files.otherKeys, pemText(others), PRIVATE);
      else removeDurably(files.otherKeys);
    },
    saveCa({ certificate, key }: Ca): void {
      makeDir(files.dir);
      if (key !== '') writeDurably(files.caKey, key, PRIVATE);
      writeDurably(files.ca, certificate, PUBLIC);
    },
    pair(service: ServiceName): Pair | undefined {
      const at = files.pair(service);
      const certificate = read(at.certificate);
      const key = read(at.key);
      return certificate === undefined || key === undefined ? undefined : { certificate, key };
    },
    savePair(service: ServiceName, { certificate, key }: Pair): void {
      const at = files.pair(service);
      makeDir(join(at.key, '..'), service === 'consul' ? 0o750 : 0o700);
      writeDurably(at.key, key, at.mode);
      writeDurably(at.certificate, certificate, at.mode === PRIVATE ? PUBLIC : at.mode);
    },
    secrets: (): Secrets | undefined => readJson(files.secrets, secretsSchema),
    saveSecrets(secrets: Secrets): void {
      makeDir(join(files.secrets, '..'), 0o700);
      writeJson(files.secrets, secrets, PRIVATE);
    },
    /**
     * For a start or join that is undone, and for a node that was removed. The folders stay: install made
     * them.
     */
    forget(): void {
      const pairs = SERVICES.map((service) => files.pair(service));
      for (const path of [
        files.secrets,
        ...pairs.flatMap((p) => [p.key, p.certificate]),
        files.otherKeys,
        files.caKey,
        files.ca,
      ])
        rmSync(path, { force: true });
    },
  };
}
export type SecurityStore = ReturnType<typeof securityStore>;

/** The node's own part in the cluster's security, from its files; read once, and again when told so. */
export interface Security {
  /** Every root that is trusted, in one text; the one that signs first. */
  readonly caPem: string;
  /** The same, one by one. */
  readonly roots: readonly Root[];
  /** The one that signs. */
  readonly ca: Ca;
  /** For calls to peers and to their Consul, and for our own HTTPS. */
  readonly tls: Required<ClientTls>;
  /** For PostgreSQL's `setCertificates`, which also wants the members' names. */
  readonly postgres: { readonly caPem: string; readonly certPem: string; readonly keyPem: string };
  /** As `nodes/NAME` has it. */
  readonly certificate: NonNullable<NodeRecord['certificate']>;
  /**
   * Of each of its certificates the root it comes from, as fingerprints; null: from none of them, or its key
   * is another's.
   */
  readonly issuers: readonly (string | null)[];
  /** Another one for other roots or certificates. */
  readonly stamp: string;
  readonly secrets: Secrets;
  /** Hash of the peer token, as `nodes/NAME` has it. */
  readonly proof: string;
  readonly consul: ConsulSecurity;
}

/** What a node's record says of its certificates. */
export function certificateRecord(certificates: Record<ServiceName, string>): Security['certificate'] {
  const { commonName, fingerprint } = readCertificate(certificates.agent);
  // All of them: a renewal may have broken off between two.
  const services = SERVICES.every((service) => hasOwnName(readCertificate(certificates[service]).commonName));
  return { name: membershipOf(commonName), fingerprint, ...(services ? { services } : {}) };
}

/** Undefined in a plain cluster, and while something is missing. */
export function loadSecurity(config: NodeConfig | Config): Security | undefined {
  if (!config.api.tls) return undefined;
  const store = securityStore(config);
  const [ca, secrets, own, consul, postgres] = [
    store.ca(),
    store.secrets(),
    store.pair('agent'),
    store.pair('consul'),
    store.pair('postgres'),
  ];
  if (!ca || !secrets || !own || !consul || !postgres) return undefined;
  const at = store.files.pair('consul');
  const roots = store.roots();
  const caPem = pemText(roots.map(({ certificate }) => certificate));
  return {
    ca,
    caPem,
    roots,
    tls: { ca: caPem, cert: own.certificate, key: own.key },
    postgres: { caPem, certPem: postgres.certificate, keyPem: postgres.key },
    certificate: certificateRecord({
      agent: own.certificate,
      consul: consul.certificate,
      postgres: postgres.certificate,
    }),
    issuers: [own, consul, postgres].map(({ certificate, key }) =>
      keyFits(certificate, key) ? (issuerOf(certificate, roots)?.fingerprint ?? null) : null,
    ),
    stamp: stampOf([caPem, own.certificate, consul.certificate, postgres.certificate]),
    secrets,
    proof: hashOf(secrets.peerToken),
    consul: {
      tls: { ca: store.files.ca, cert: at.certificate, key: at.key },
      gossipKey: secrets.gossipKey,
      tokens: { management: secrets.managementToken, node: secrets.consulToken },
      httpsPort: config.consul.https_port,
    },
  };
}
