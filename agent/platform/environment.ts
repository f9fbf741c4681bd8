/**
 * What the environment of a process would do to its network calls. A machine behind a proxy has these
 * variables everywhere; members, Consul and Syncthing are reached directly, always: a proxy would see every
 * token, and its loss would be the cluster's. The same for what libpq, the SQL client and Syncthing take from
 * it: a PGSERVICE that means another server, another API key. The manager's own programs (services, hooks,
 * the server's archive command) get them as they were given.
 */
import process from 'node:process';

const PROXIES = ['http', 'https', 'all', 'no', 'ftp', 'ws', 'wss', 'grpc', 'socks']
  .map((kind) => `${kind}_proxy`)
  .flatMap((name) => [name, name.toUpperCase()]);

/** Names that are taken out of the own environment and out of that of Consul, Syncthing and every tool. */
export const KEPT_OUT: readonly string[] = [
  ...PROXIES,
  'ALL_PROXY_NO_FALLBACK',
  'NODE_USE_ENV_PROXY',
  // On Bun this one turns the check of certificates off, and the other one prints every request with its
  // token (both seen).
  'NODE_TLS_REJECT_UNAUTHORIZED',
  'BUN_CONFIG_VERBOSE_FETCH',
  'STGUIADDRESS',
  'STGUIAPIKEY',
  'STHOMEDIR',
  'STCONFDIR',
  'STDATADIR',
];

/**
 * PGHOST, PGSERVICE, PGTARGETSESSIONATTRS and all the others, of every version; those with a line after PG
 * are no libpq's.
 */
const isLibpq = (name: string): boolean => /^PG[A-Z]/.test(name);

const given: Record<string, string> = {};

/**
 * Takes them out. Runtimes look at each call, so this comes before each call; repeating it costs
 * microseconds.
 */
export function keepOut(): void {
  for (const name of [...KEPT_OUT, ...Object.keys(process.env).filter(isLibpq)]) {
    const value = process.env[name];
    if (value === undefined) continue;
    given[name] = value;
    delete process.env[name];
  }
}

/** The environment of our own tools. */
export function ownEnvironment(): Readonly<Record<string, string | undefined>> {
  keepOut();
  return process.env;
}

/** The environment as this process was given it, for the manager's own programs. */
export function givenEnvironment(): Readonly<Record<string, string | undefined>> {
  return { ...ownEnvironment(), ...given };
}

/** To be taken out of what the server is given: it connects to its upstream by libpq. */
export function libpqOut(): Readonly<Record<string, undefined>> {
  const names = Object.keys(givenEnvironment()).filter(isLibpq);
  return Object.fromEntries(names.map((name) => [name, undefined]));
}
