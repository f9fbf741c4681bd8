/**
 * A plain PostgreSQL server, driven by signals and SQL alone: what the checks look at, without the agent's
 * driver.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chownSync, closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { PgTarget } from '../../agent/checks/port.ts';
import { until } from '../../agent/platform/clock.ts';
import { findBinDir, freePort } from '../fixtures/postgres.ts';

const isRoot = process.getuid?.() === 0;
/** The server refuses to run as root. */
const asPostgres = (command: string[]): string[] =>
  isRoot ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups', ...command] : command;

export interface PlainServer {
  readonly target: PgTarget;
  readonly dataDir: string;
  /** Process id of the postmaster. */
  pid(): number;
  start(parameters?: Record<string, string>): Promise<void>;
  signal(name: NodeJS.Signals): void;
  /** SIGKILL to the postmaster; resolves when it is gone. Its children follow by themselves. */
  kill(): Promise<void>;
  /** The last column of what psql prints, as the superuser over the Unix socket. */
  sql(text: string): string;
  /** Names of the agent's own connections. */
  own(): string[];
  end(): Promise<void>;
}

export async function plainServer(host: string): Promise<PlainServer> {
  const binDir = findBinDir();
  const dir = mkdtempSync(join(tmpdir(), 'agent-checks-'));
  const dataDir = join(dir, 'data');
  const socketDir = join(dir, 's');
  mkdirSync(socketDir);
  if (isRoot) {
    const uid = Number(spawnSync('id', ['-u', 'postgres'], { encoding: 'utf8' }).stdout);
    for (const path of [dir, socketDir]) chownSync(path, uid, uid);
  }
  const run = (...command: string[]) => {
    const [program = '', ...args] = asPostgres(command);
    const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', cwd: dir });
    if (status !== 0) throw new Error(`${command[0]}: ${stderr}`);
    return stdout.trim();
  };
  run(join(binDir, 'initdb'), '-D', dataDir, '-U', 'postgres', '-A', 'trust', '--no-sync', '--locale=C');
  const target = { host, port: await freePort(host), socketDir, user: 'postgres', database: 'postgres' };
  let child: ChildProcess | null = null;
  let gone: Promise<void> = Promise.resolve();

  const server: PlainServer = {
    target,
    dataDir,
    pid: () => child?.pid ?? -1,
    async start(parameters = {}) {
      const settings = {
        listen_addresses: host,
        port: String(target.port),
        unix_socket_directories: socketDir,
        fsync: 'off',
        shared_buffers: '16MB',
        max_connections: '20',
        ...parameters,
      };
      const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
      const [program = '', ...args] = asPostgres([join(binDir, 'postgres'), '-D', dataDir, ...flags]);
      const log = openSync(join(dir, 'log'), 'a');
      const started = spawn(program, args, { stdio: ['ignore', log, log], cwd: dir });
      closeSync(log);
      child = started;
      gone = new Promise((resolve) => started.once('exit', () => resolve()));
      const ready = () => {
        try {
          return server.sql('select 1') === '1';
        } catch {
          return false;
        }
      };
      if (!(await until(ready, { timeout: 20_000, every: 50 })))
        throw new Error(readFileSync(join(dir, 'log'), 'utf8').slice(-2000));
    },
    signal: (name) => void child?.kill(name),
    async kill() {
      child?.kill('SIGCONT');
      child?.kill('SIGKILL');
      await gone;
    },
    sql: (text) =>
      run(
        join(binDir, 'psql'),
        ...['-h', socketDir, '-p', String(target.port), '-U', 'postgres', '-d', 'postgres'],
        ...['-X', '-q', '-A', '-t', '-c', text],
      ),
    own: () =>
      server
        .sql("select application_name from pg_stat_activity where application_name like 'cloudify-agent %'")
        .split('\n')
        .filter((line) => line !== ''),
    async end() {
      child?.kill('SIGCONT');
      child?.kill('SIGQUIT');
      await gone;
      rmSync(dir, { recursive: true, force: true });
    },
  };
  return server;
}
