/**
 * Is a configuration the one that a process read, or that root rendered? Told by hashes, which are no secrets
 * and fit into a note.
 */
import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { effectiveLease } from './effective.ts';
import type { Config } from './resolve.ts';

/** SHA-256 in hexadecimal of each top-level key. */
export type Prints = Readonly<Record<string, string>>;

/** With its keys in order; what is undefined is not there. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, one]) => one !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, one]) => [key, canonical(one)]),
  );
}

const hash = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('hex');

/** What is compared: not where the file lies, which is no setting. */
function settings(config: Config): Record<string, unknown> {
  const { config: _, ...paths } = config.paths;
  return canonical({ ...config, paths }) as Record<string, unknown>;
}

export const printsOf = (config: Config): Prints =>
  Object.fromEntries(Object.entries(settings(config)).map(([key, value]) => [key, hash(value)]));

/** One for all keys, short enough for people. */
export const printOf = (config: Config): string => hash(settings(config)).slice(0, 12);

/** Keys whose hashes are not the same, or that only one has. `of`: only these. */
export function differing(a: Prints, b: Prints, of?: readonly string[]): string[] {
  const keys = of ?? [...new Set([...Object.keys(a), ...Object.keys(b)])];
  return keys.filter((key) => a[key] !== b[key]).sort();
}

/** Dotted paths of the settings that differ; of a list, its own. */
export function differingPaths(a: Config, b: Config): string[] {
  const found: string[] = [];
  const compare = (path: string, one: unknown, other: unknown): void => {
    if (JSON.stringify(one) === JSON.stringify(other)) return;
    const [left, right] = [one, other].map((value) =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? Object.entries(value)
        : undefined,
    );
    if (left === undefined || right === undefined) {
      found.push(path);
      return;
    }
    const [before, after] = [Object.fromEntries(left), Object.fromEntries(right)];
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)]))
      compare(path === '' ? key : `${path}.${key}`, before[key], after[key]);
  };
  compare('', settings(a), settings(b));
  return found.sort();
}

/** What accounts, units, rules and sudo's permissions are rendered from. */
export const RENDERED_KEYS: readonly string[] = [
  ...['driver', 'user', 'group', 'paths', 'firewall', 'services', 'files', 'consul', 'postgres', 'api'],
];

/** What the helper that holds the kernel lease goes by, from its start to its end. */
export const leasePrints = (config: Config): Prints => {
  const { firewall, postgres, services, paths, user } = config;
  const parts = {
    firewall,
    'lease.renew_deadline': effectiveLease(config).renew_deadline,
    'paths.firewall_dir': paths.firewall_dir,
    'postgres.data_dir': postgres.data_dir,
    'postgres.port': postgres.port,
    services: services.map(({ unit, active_only, warm, order }) => ({ unit, active_only, warm, order })),
    user,
  };
  return Object.fromEntries(Object.entries(parts).map(([key, value]) => [key, hash(canonical(value))]));
};

const noteSchema = v.object({
  schema: v.literal(1),
  prints: v.record(v.string(), v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))),
});

/** The text of a note that tells by which configuration something was made, or runs. */
export const noteText = (prints: Prints): string => `${JSON.stringify({ schema: 1, prints }, null, 2)}\n`;

/** undefined: none, or not one of ours. */
export function parseNote(text: string | undefined): Prints | undefined {
  if (text === undefined || text.length > 65_536) return undefined;
  try {
    const parsed = v.safeParse(noteSchema, JSON.parse(text));
    return parsed.success ? parsed.output.prints : undefined;
  } catch {
    return undefined;
  }
}

/** Where a running process leaves its note: gone with each boot, as the process is. */
export const agentNote = ({ paths }: Config): string => join(paths.run_dir, 'configuration.json');
export const leaseNote = ({ firewall }: Config): string =>
  join(dirname(firewall.lease_socket), 'configuration.json');
