/** agent.yaml for a machine that has none: what this machine suggests, and the rest as comments. */
import { join } from 'node:path';
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

export function defaultConfig(sight: Sight): string {
  const found = findPostgres(sight);
  const postgres = found
    ? [
        'postgres:',
        `  data_dir: ${quoted(found.dataDir)}`,
        ...(found.originalConfig ? [`  original_config: ${quoted(found.originalConfig)}`] : []),
      ]
    : ['# postgres:', '#   data_dir: /var/lib/postgresql/15/main'];
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
