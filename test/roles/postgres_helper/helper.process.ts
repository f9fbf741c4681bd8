/**
 * A helper with the real driver in a process of its own, to be killed and frozen. Its options come as JSON.
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import process from 'node:process';
import { createPostgres, type PgOptions, type Starter } from '../../../agent/roles/postgres/index.ts';
import { serveHelper } from '../../../agent/roles/postgres_helper/server.ts';

const { socketPath, options } = JSON.parse(process.argv[2] ?? '') as {
  socketPath: string;
  options: Omit<PgOptions, 'starter'>;
};

/** The server outlives this process, as it does under a unit of its own. */
const starter: Starter = {
  async start([program = '', ...args]) {
    const log = openSync(options.logFile ?? '/dev/null', 'a');
    spawn(program, args, { stdio: ['ignore', log, log], detached: true }).unref();
    closeSync(log);
  },
  pid: () => null,
  kill: () => {},
  onExit: () => {},
};

await serveHelper({
  socketPath,
  say: console.error,
  outdated: () => process.exit(0),
  driverFor: ({ node }) => ({ key: node, make: () => createPostgres({ ...options, starter }) }),
});
console.log('ready');
