/**
 * What a member of a cluster with TLS holds in `ssl_dir`: the cluster's authority and its key, a certificate per service, and
 * its secrets. Written durably, each file in one step; keys before the certificates that need them.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import type { Config, NodeConfig } from '../config.ts';
import type { ConsulSecurity } from '../consul/server_config.ts';
import type { NodeRecord } from '../core/records.ts';
import { GROUP_READABLE, makeDir, PRIVATE, readJson, writeDurably, writeJson } from '../platform/files.ts';
import type { Ca } from '../platform/tls/ca.ts';
import type { ClientTls } from '../platform/tls/fetch.ts';
import { readCertificate } from '../platform/tls/read.ts';
import { hasOwnName, membershipOf } from './names.ts';

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
  return {
    files,
    /** `key` is empty until this node is enrolled: who is admitted only may check, and sign nothing. */
    ca(): Ca | undefined {
      const certificate = read(files.ca);
      return certificate === undefined ? undefined : { certificate, key: read(files.caKey) ?? '' };
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
    /** For a start or join that is undone, and for a node that was removed. The folders stay: install made them. */
    forget(): void {
      const pairs = SERVICES.map((service) => files.pair(service));
      for (const path of [
        files.secrets,
        ...pairs.flatMap((p) => [p.key, p.certificate]),
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
  readonly caPem: string;
  readonly ca: Ca;
  /** For calls to peers and to their Consul, and for our own HTTPS. */
  readonly tls: Required<ClientTls>;
  /** For PostgreSQL's `setCertificates`, which also wants the members' names. */
  readonly postgres: { readonly caPem: string; readonly certPem: string; readonly keyPem: string };
  /** As `nodes/NAME` has it. */
  readonly certificate: NonNullable<NodeRecord['certificate']>;
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
  return {
    ca,
    caPem: ca.certificate,
    tls: { ca: ca.certificate, cert: own.certificate, key: own.key },
    postgres: { caPem: ca.certificate, certPem: postgres.certificate, keyPem: postgres.key },
    certificate: certificateRecord({
      agent: own.certificate,
      consul: consul.certificate,
      postgres: postgres.certificate,
    }),
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
