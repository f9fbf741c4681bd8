import { appendFileSync, existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeConfig } from '../../agent/config/index.ts';
import { AgentError } from '../../agent/errors.ts';
import { postgresBinDir } from '../../agent/platform/paths.ts';
import { runOk } from '../../agent/platform/process.ts';
import { CLIENT_RULE } from './config.ts';
import { CLIENT, type DevNode } from './layout.ts';
import { asUser, type DevUser } from './user.ts';

/** The folder of the newest PostgreSQL installed here. */
export function findBinDir(): string {
  const found = postgresBinDir(makeConfig({ postgres: { data_dir: '/nonexistent' } }));
  if (found !== undefined) return found;
  throw new AgentError({
    class: 'operator',
    code: 'no_postgres',
    message: 'PostgreSQL is not installed here',
    hint: 'install PostgreSQL 13 to 18, for example: apt-get install postgresql',
  });
}

/** Single-user mode runs one statement per line. */
const roles = [
  `CREATE ROLE ${CLIENT.user} LOGIN;`,
  `CREATE DATABASE ${CLIENT.database} OWNER ${CLIENT.user};`,
];
const rows = [
  `SET ROLE ${CLIENT.user};`,
  'CREATE TABLE deployments (id serial PRIMARY KEY, name text NOT NULL, created_at timestamptz DEFAULT now());',
  "INSERT INTO deployments (name) SELECT 'deployment ' || n FROM generate_series(1, 500) n;",
  'CREATE TABLE work (id bigserial PRIMARY KEY, node text NOT NULL, at timestamptz DEFAULT now());',
];

/**
 * The data directory of a manager that was there before it was clustered: a database with rows in it. Nothing
 * of the agent is in its configuration. Does nothing when the directory exists.
 */
export async function makeExistingDatabase(node: DevNode, user: DevUser, binDir: string): Promise<void> {
  if (existsSync(join(node.pgData, 'PG_VERSION'))) return;
  // Made beside and moved into place when complete: a call that was interrupted leaves nothing half done.
  const data = `${node.pgData}.new`;
  rmSync(data, { recursive: true, force: true });
  const run = (program: string, args: readonly string[], input?: string) => {
    const [command, ...rest] = asUser(user, [join(binDir, program), ...args]);
    return runOk(command, rest, {
      deadline: 60_000,
      cwd: node.dir,
      ...(input === undefined ? {} : { input }),
    });
  };
  await run('initdb', [
    ...['-D', data, '-U', 'postgres', '-A', 'trust', '--auth-host=reject'],
    ...['-E', 'UTF8', '--locale=C', '--data-checksums', '--no-sync'],
  ]);
  appendFileSync(join(data, 'postgresql.conf'), "shared_buffers = '32MB'\n");
  writeFileSync(join(data, 'pg_hba.conf'), `local all all trust\n${CLIENT_RULE}\n`);
  const single = (database: string, statements: readonly string[]) =>
    run('postgres', ['--single', '-D', data, '-j', database], `${statements.join('\n\n')}\n\n`);
  await single('postgres', roles);
  await single(CLIENT.database, rows);
  renameSync(data, node.pgData);
}
