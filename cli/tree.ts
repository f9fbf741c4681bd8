/** All commands. Each is a file of its own and loaded only when it is asked for. */
import { type CommandDef, defineCommand, type SubCommandsDef } from 'citty';
import { version } from '../agent/version.ts';

type Loader = () => Promise<{ default: CommandDef }>;

/** citty resolves a function when it needs the command; this one loads its file then. */
const lazy = (loaders: Record<string, Loader>): SubCommandsDef =>
  Object.fromEntries(
    Object.entries(loaders).map(([name, load]) => [name, async () => (await load()).default]),
  );

const nodes = defineCommand({
  meta: { name: 'nodes', description: 'the managers of the cluster' },
  subCommands: lazy({
    list: () => import('./cluster/nodes_list.ts'),
    get: () => import('./cluster/nodes_get.ts'),
    update: () => import('./cluster/nodes_update.ts'),
    remove: () => import('./cluster/nodes_remove.ts'),
  }),
});

const token = defineCommand({
  meta: { name: 'token', description: 'join tokens: each lets one manager in, once' },
  subCommands: lazy({
    create: () => import('./cluster/token_create.ts'),
    list: () => import('./cluster/token_list.ts'),
    revoke: () => import('./cluster/token_revoke.ts'),
  }),
});

const files = defineCommand({
  meta: { name: 'files', description: 'the replicated files of this manager' },
  subCommands: lazy({
    status: () => import('./cluster/files_status.ts'),
    accept: () => import('./cluster/files_accept.ts'),
  }),
});

const lease = defineCommand({
  meta: { name: 'lease', description: "the lease's times, which every node goes by" },
  subCommands: lazy({
    show: () => import('./cluster/lease_show.ts'),
    set: () => import('./cluster/lease_set.ts'),
  }),
});

const cluster = defineCommand({
  meta: { name: 'cluster', description: 'make, enter, watch and steer the cluster' },
  subCommands: {
    ...lazy({
      start: () => import('./cluster/start.ts'),
      join: () => import('./cluster/join.ts'),
      status: () => import('./cluster/status.ts'),
    }),
    nodes,
    files,
    lease,
    token,
    ...lazy({
      'set-active': () => import('./cluster/set_active.ts'),
      history: () => import('./cluster/history.ts'),
      pause: () => import('./cluster/pause.ts'),
      resume: () => import('./cluster/resume.ts'),
      maintenance: () => import('./cluster/maintenance.ts'),
      reinit: () => import('./cluster/reinit.ts'),
      certificates: () => import('./cluster/certificates.ts'),
    }),
  },
});

export const root = defineCommand({
  meta: {
    name: 'agent',
    version,
    description: 'one active and its standbys out of three or more managers',
  },
  subCommands: {
    ...lazy({
      run: () => import('./run.ts'),
      helper: () => import('./helper.ts'),
      status: () => import('./status.ts'),
      logs: () => import('./logs.ts'),
    }),
    cluster,
    ...lazy({
      doctor: () => import('./doctor.ts'),
      'hash-password': () => import('./hash_password.ts'),
      install: () => import('./install.ts'),
      uninstall: () => import('./uninstall.ts'),
      teardown: () => import('./teardown.ts'),
      dev: () => import('./dev/group.ts'),
      completion: () => import('./completion.ts'),
    }),
  },
});
