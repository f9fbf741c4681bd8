/**
 * New keys and certificates for this node, before the old ones end or by command. The membership's name
 * stays.
 */
import type { NodeConfig } from '../config/index.ts';
import { AgentError, messageOf } from '../errors.ts';
import type { Logger } from '../log/log.ts';
import { NODE_DAYS } from '../platform/tls/ca.ts';
import { readCertificate } from '../platform/tls/read.ts';
import { issueOwn, namesOf } from './certificates.ts';
import { loadSecurity, SERVICES, type Security, securityStore } from './store.ts';

export interface Expiry {
  readonly what: 'ca' | (typeof SERVICES)[number];
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
}

function lifeOf(what: Expiry['what'], certificate: string): Expiry {
  const { notBefore, notAfter } = readCertificate(certificate);
  return { what, notBefore, notAfter };
}

/** When the authority's and this node's certificates end, the soonest first. Empty in a plain cluster. */
export function expiries(config: NodeConfig): Expiry[] {
  const store = securityStore(config);
  const ca = store.ca();
  const all: Expiry[] = SERVICES.flatMap((what) => {
    const pair = store.pair(what);
    return pair === undefined ? [] : [lifeOf(what, pair.certificate)];
  });
  if (ca !== undefined) all.push(lifeOf('ca', ca.certificate));
  return all.sort((a, b) => a.notAfter - b.notAfter);
}

/**
 * Should this node renew by itself? A third of the certificates' life before they end, so that a failure can
 * be mended; and at once where they begin in the future: the clock was wrong when they were made.
 */
export const renewalDue = (config: NodeConfig, now: number, days = NODE_DAYS): boolean =>
  expiries(config).some(
    ({ what, notBefore, notAfter }) =>
      what !== 'ca' && (notBefore > now || notAfter - now < (days * 86_400_000) / 3),
  );

/**
 * Before a node that was off for long starts anything: with certificates that are over it would ask the
 * others in vain, and so with one whose key is already the next one's, where a renewal broke off between the
 * two files. False when they still hold, or when it may not sign. The files alone: a Consul that runs has to
 * be told.
 */
export async function renewExpired(config: NodeConfig, now: number): Promise<boolean> {
  const over = expiries(config).some(({ what, notAfter }) => what !== 'ca' && notAfter <= now);
  const torn = loadSecurity(config)?.issuers.includes(null) === true;
  if ((!over && !torn) || !securityStore(config).ca()?.key) return false;
  await renewCertificates(config);
  return true;
}

/**
 * Makes and writes them, each under its service's own name when it had that or with `ownNames`; the agent's
 * own is in use once the caller has told its parts (`applyRenewal`). Throws operator `no_certificates` in a
 * plain cluster.
 */
export async function renewCertificates(
  config: NodeConfig,
  { days = NODE_DAYS, ownNames = false }: { days?: number; ownNames?: boolean } = {},
): Promise<Security> {
  const store = securityStore(config);
  const before = loadSecurity(config);
  if (before === undefined)
    throw new AgentError({
      class: 'operator',
      code: 'no_certificates',
      message: 'this manager has no certificates to renew',
      hint: "they are made at 'agent cluster start' and 'join', unless 'api.tls' is false",
    });
  if (before.ca.key === '')
    throw new AgentError({
      class: 'transient',
      code: 'not_enrolled',
      message: 'this node has no key of the authority yet: it is not enrolled',
      hint: "see 'agent cluster nodes list'",
    });
  const { name, services = false } = before.certificate;
  const made = await issueOwn(before.ca, namesOf(config), name, { days, shared: !services && !ownNames });
  // Another root signs here by now, and soon nobody trusts this one.
  if (store.ca()?.key !== before.ca.key) return renewCertificates(config, { days, ownNames });
  for (const service of SERVICES) store.savePair(service, made[service]);
  return loadSecurity(config) ?? before;
}

/** What uses certificates, and takes new ones up without a restart. Each may be repeated. */
export interface CertificateUsers {
  /** The agent's HTTPS listener and its calls to peers and Consul. */
  readonly agent: (security: Security) => Promise<void>;
  /** `consul reload`. */
  readonly consul: () => Promise<void>;
  /** `setCertificates` of PostgreSQL, which reloads. */
  readonly postgres: (security: Security) => Promise<void>;
}

/**
 * Resolves with what failed, by name; the rest uses the new certificates. The old ones stay valid until they
 * end.
 */
export async function applyRenewal(security: Security, users: CertificateUsers): Promise<string[]> {
  const failed: string[] = [];
  for (const [name, apply] of [
    ['postgres', () => users.postgres(security)],
    ['consul', () => users.consul()],
    ['agent', () => users.agent(security)],
  ] as const) {
    try {
      await apply();
    } catch (thrown) {
      failed.push(`${name}: ${messageOf(thrown)}`);
    }
  }
  return failed;
}

export interface RenewalTimerOptions {
  /** Null outside of a cluster. */
  readonly config: () => NodeConfig | null;
  /** Makes them and puts them to use; resolves with what does not use them yet. */
  readonly renew: () => Promise<readonly string[]>;
  /** Do they lack names of their own, that everybody would let in? */
  readonly renaming: () => boolean;
  readonly log: Logger;
  /** Milliseconds since 1970. */
  readonly wall: () => number;
}

const EVERY = 20_000;

/** One look; also what the timer does. True when they were renewed. */
export async function renewIfDue({
  config,
  renew,
  renaming,
  log,
  wall,
}: RenewalTimerOptions): Promise<boolean> {
  const node = config();
  if (node === null || !node.api.tls) return false;
  try {
    if (!renewalDue(node, wall()) && !renaming()) return false;
    const failed = await renew();
    if (failed.length === 0) log.info('the certificates were renewed');
    else log.warn(`the certificates were renewed, but not everything uses them: ${failed.join('; ')}`);
    return true;
  } catch (thrown) {
    log.error('the certificates could not be renewed:', thrown);
    return false;
  }
}

/** Looks now and three times a minute. Returns how to stop it. */
export function renewInTime(options: RenewalTimerOptions): () => void {
  void renewIfDue(options);
  const timer = setInterval(() => void renewIfDue(options), EVERY);
  return () => clearInterval(timer);
}
