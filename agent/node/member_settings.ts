/**
 * What must be the same on every member, or is worth knowing when it is not: folders, services, ports and
 * versions. Each node tells its own in `nodes/NAME`, and whoever is asked for the cluster's status says where
 * they differ. Pure.
 */
import * as v from 'valibot';
import type { Config } from '../config/index.ts';
import type { NodeRecord } from '../core/records.ts';

export const GROUPS = ['folders', 'services', 'ports', 'versions'] as const;
type Group = (typeof GROUPS)[number];
/** Each entry is a line for people; entries are the same when their texts are. */
export type Settings = Record<Group, string[]>;

/** Of a program that is there: its name, and what it says its version is. */
export type Versions = Readonly<Record<string, string>>;

const PRINTABLE = /^[\p{L}\p{N}\p{P}\p{S} ]{1,400}$/u;
const list = v.pipe(v.array(v.pipe(v.string(), v.regex(PRINTABLE))), v.maxLength(200));
const settingsSchema = v.object({ folders: list, services: list, ports: list, versions: list });

/** What a line can hold of a text that may be of anybody. */
const line = (text: string): string => text.replace(/[^\p{L}\p{N}\p{P}\p{S} ]/gu, '?').slice(0, 400);

export function settingsOf(config: Config, versions: Versions): Settings {
  const { files, services, firewall, consul } = config;
  const port = (what: string, ...ports: number[]) => `${what} ${ports.join(', ')}`;
  return {
    folders: files.enabled
      ? files.folders.map(({ id, ignore }) =>
          line(ignore.length === 0 ? id : `${id} without ${ignore.join(' ')}`),
        )
      : [],
    services: services.map(({ name, unit, active_only, warm, critical, order }) =>
      line(
        [
          name,
          ...(unit === undefined ? [] : [unit]),
          ...(active_only ? (warm ? ['warm'] : []) : ['everywhere']),
          ...(critical ? [] : ['not critical']),
          `order ${order}`,
        ].join(' '),
      ),
    ),
    ports: [
      port('api', config.api.port),
      port('postgresql', config.postgres.port),
      port('consul', consul.server_port, consul.serf_port, ...(consul.tls ? [consul.https_port] : [])),
      ...(files.enabled ? [port('files', files.port)] : []),
      ...(firewall.enabled ? [port('clients', ...[...firewall.client_ports].sort((a, b) => a - b))] : []),
    ],
    versions: Object.entries(versions).map(([name, version]) => line(`${name} ${version}`)),
  };
}

/** undefined: not told (an older agent, or one that has just come), or not understood. */
export function toldBy(record: NodeRecord | undefined): Settings | undefined {
  const parsed = v.safeParse(settingsSchema, record?.settings);
  return parsed.success ? parsed.output : undefined;
}

const without = (some: readonly string[], others: readonly string[]): string[] =>
  some.filter((one) => !others.includes(one));

const shown = (entries: readonly string[]): string => (entries.length === 0 ? 'none' : entries.join('; '));

/**
 * Whose settings the others' are held against: the active's, whose data and files count; else the first's
 * that tells any.
 */
export function referenceOf(
  nodes: Readonly<Record<string, NodeRecord>>,
  active: string | null,
): string | null {
  const telling = Object.keys(nodes).filter((name) => toldBy(nodes[name]) !== undefined);
  return telling.find((name) => name === active) ?? telling.sort()[0] ?? null;
}

/** What of `name`'s settings is not as the reference's, a line each; empty for the reference itself. */
export function differencesOf(
  nodes: Readonly<Record<string, NodeRecord>>,
  name: string,
  active: string | null,
): string[] {
  const reference = referenceOf(nodes, active);
  if (reference === null || reference === name) return [];
  const [own, its] = [toldBy(nodes[name]), toldBy(nodes[reference])];
  if (own === undefined) {
    const version = nodes[name]?.version ?? '';
    return [`settings that it has not reported${version === '' ? '' : ` (agent ${line(version)})`}`];
  }
  return GROUPS.flatMap((group) => {
    const [here, there] = [own[group], its?.[group] ?? []];
    const [more, less] = [without(here, there), without(there, here)];
    if (more.length + less.length === 0) return [];
    return [`${group}: has ${shown(more)}, ${reference} has ${shown(less)}`];
  });
}

/**
 * Are this node's folders known to be the active's? Otherwise something is not replicated, whatever its own
 * check says.
 */
export function sameFolders(
  nodes: Readonly<Record<string, NodeRecord>>,
  name: string,
  active: string | null,
): boolean {
  const [own, its] = [toldBy(nodes[name]), toldBy(active === null ? undefined : nodes[active])];
  // Of agents that tell none, the check's word is all there is.
  if (own === undefined || its === undefined) return true;
  return without(its.folders, own.folders).length + without(own.folders, its.folders).length === 0;
}
