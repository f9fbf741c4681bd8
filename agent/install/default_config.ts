/** agent.yaml for a machine that has none: what this machine suggests, and the rest as comments. */
import { join } from 'node:path';
import { parseConfig } from '../config/index.ts';
import { type ConfEntry, readConf } from '../roles/postgres/manager_conf.ts';
import { AUTO } from '../roles/postgres/originals.ts';
import { type Kept, keptAddresses, keptPort, keptSocket } from '../roles/postgres/reached.ts';
import type { Sight } from './machine.ts';

const DEBIAN_DATA = '/var/lib/postgresql';
const RED_HAT_DATA = '/var/lib/pgsql';

interface Found {
  readonly dataDir: string;
  readonly originalConfig?: string;
}

/** The newest data directory where the distributions put theirs. */
export function findPostgres(sight: Sight): Found | undefined {
  const versions = [...sight.list(DEBIAN_DATA)].filter((name) => /^\d+$/.test(name)).sort((a, b) => +b - +a);
  for (const version of versions) {
    const dataDir = join(DEBIAN_DATA, version, 'main');
    if (sight.look(join(dataDir, 'PG_VERSION')) === undefined) continue;
    const conf = `/etc/postgresql/${version}/main`;
    return {
      dataDir,
      ...(sight.look(`${conf}/postgresql.conf`) ? { originalConfig: `${conf}/postgresql.conf` } : {}),
    };
  }
  const candidates = [
    join(RED_HAT_DATA, 'data'),
    ...[...sight.list(RED_HAT_DATA)]
      .sort()
      .reverse()
      .map((v) => join(RED_HAT_DATA, v, 'data')),
  ];
  const dataDir = candidates.find((dir) => sight.look(join(dir, 'PG_VERSION')) !== undefined);
  return dataDir === undefined ? undefined : { dataDir };
}

const quoted = (path: string): string => JSON.stringify(path);

/**
 * What the manager's own settings say, as its server reads them. Nothing where this user may not read them.
 */
function entriesOf(sight: Sight, { dataDir, originalConfig }: Found): ConfEntry[] {
  const files = {
    read(path: string): string | undefined {
      try {
        return sight.read(path);
      } catch {
        return undefined;
      }
    },
    list: (dir: string) => sight.list(dir),
  };
  const conf = originalConfig ?? join(dataDir, 'postgresql.conf');
  return [conf, join(dataDir, AUTO)].flatMap((file) => readConf(file, files));
}

/**
 * Of this database. host_ip is not known yet: what is listened on besides all addresses is left for start to
 * name.
 */
function keptOf(sight: Sight, found: Found): Kept[] {
  const entries = entriesOf(sight, found);
  const { port, socket_dir: socketDir } = parseConfig('').postgres;
  const addresses = keptAddresses(entries, { host: undefined, socketDir });
  const all = addresses !== null && /"(0\.0\.0\.0|::)"/.test(addresses.line);
  return [keptPort(entries, { port }), all ? addresses : null, keptSocket(entries, { socketDir })].filter(
    (one) => one !== null,
  );
}

/** Nothing in a comment ends it. */
const oneLine = (text: string): string => text.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, '?');

const keptLines = ({ line, entry: { name, value, file, line: number } }: Kept, mark: string): string[] => [
  oneLine(`  # Where clients find it: ${name} = '${value}' in ${file}, line ${number}`),
  oneLine(`  ${mark}${line}`),
];

/**
 * Text of agent.yaml. What this version could not use of the manager's own settings stands there as a
 * comment.
 */
export function defaultConfig(sight: Sight): string {
  const found = findPostgres(sight);
  if (found === undefined) return rendered(['# postgres:', '#   data_dir: /var/lib/postgresql/15/main']);
  const kept = keptOf(sight, found);
  const text = (used: readonly Kept[]) =>
    rendered([
      'postgres:',
      `  data_dir: ${quoted(found.dataDir)}`,
      ...(found.originalConfig ? [`  original_config: ${quoted(found.originalConfig)}`] : []),
      ...kept.flatMap((one) => keptLines(one, used.includes(one) ? '' : '# ')),
    ]);
  const used: Kept[] = [];
  for (const one of kept) if (loads(text([...used, one]))) used.push(one);
  return text(used);
}

function loads(text: string): boolean {
  try {
    parseConfig(text);
    return true;
  } catch {
    return false;
  }
}

function rendered(postgres: readonly string[]): string {
  return `# The cluster agent of this manager. What is left out has its default. Root's file: the agent only reads it.
# After a change: 'agent install' (units, rules and sudo follow from it), then 'agent doctor'.

# The name and the address by which the other managers know this one; 'agent cluster start' and 'join' take them too.
# node_name: manager1
# host_ip: 10.0.0.11

${postgres.join('\n')}

# The manager's own services, by their units. Lower order starts first and stops last; active_only: false runs on every node.
# services:
#   - { name: rabbitmq, unit: rabbitmq-server.service, order: 10 }
#   - { name: mgmtworker, unit: cloudify-mgmtworker.service, order: 20 }

# Folders that are the same on every manager.
# files:
#   folders:
#     - { id: resources, path: /opt/manager/resources }

# lease: { preset: default }        # or fast
# synchronous_mode: quorum          # or strict, off
`;
}
