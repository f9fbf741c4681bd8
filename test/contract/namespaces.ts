/**
 * A manager's network in small: a namespace of the server with our rules, sets and lease helper, one of a
 * client and one of a member, joined by cables. For root. Everything ends with `end`.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { loadConfig } from '../../agent/config/index.ts';
import { createKernelLease } from '../../agent/roles/firewall/kernel_lease.ts';
import { firewallFiles } from '../../agent/roles/firewall/render.ts';
import { eventually, findBinDir } from '../fixtures/postgres.ts';

export const WEB = 443;
const bin = findBinDir();
const main = join(import.meta.dir, '../../cli/main.ts');
const AS_POSTGRES = ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups'];
/** Anything may take so long on a busy machine, ms. */
export const PATIENCE = 60_000;
/** ms from now; the file allows 4 s. */
const RIGHT = 3900;

const idOf = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));

/** Output and end of a process of ours. */
export interface Running {
  readonly child: ChildProcess;
  readonly said: () => string;
  readonly ended: () => boolean;
}

export class World {
  readonly #children: ChildProcess[] = [];
  readonly #namespaces = new Map<'server' | 'client' | 'member', number>();
  readonly dir = mkdtempSync(join(tmpdir(), 'agent-ends-'));
  readonly #socket = join(this.dir, 'lease', 'lease.sock');
  server?: Running;
  helper?: Running;

  run(command: readonly string[], input = ''): string {
    const [file = '', ...args] = command;
    return execFileSync(file, args, { encoding: 'utf8', input, timeout: PATIENCE, stdio: 'pipe' });
  }

  start(command: readonly string[]): Running {
    const [file = '', ...args] = command;
    const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'], cwd: '/' });
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Uint8Array) => {
        said += new TextDecoder().decode(chunk);
      });
    child.stdin.on('error', () => {});
    this.#children.push(child);
    return { child, said: () => said, ended: () => child.exitCode !== null || child.signalCode !== null };
  }

  inside(name: 'server' | 'client' | 'member', ...command: string[]): string[] {
    return ['nsenter', '-t', String(this.#namespaces.get(name)), '-n', ...command];
  }

  async prepare(): Promise<void> {
    for (const name of ['server', 'client', 'member'] as const) {
      const { child } = this.start(['unshare', '-n', 'sleep', 'infinity']);
      const pid = child.pid ?? 0;
      // The namespace is another one as soon as unshare has become sleep.
      await eventually(
        'a namespace of its own',
        PATIENCE,
        () => this.run(['readlink', `/proc/${pid}/ns/net`]) !== this.run(['readlink', '/proc/self/ns/net']),
      );
      this.#namespaces.set(name, pid);
      this.run(this.inside(name, 'ip', 'link', 'set', 'lo', 'up'));
    }
    for (const [i, name] of (['client', 'member'] as const).entries()) {
      const far = String(this.#namespaces.get(name));
      this.run(
        this.inside('server', 'ip', 'link', 'add', name, 'type', 'veth', 'peer', 'name', 'up', 'netns', far),
      );
      for (const [where, device, last] of [
        ['server', name, 1],
        [name, 'up', 2],
      ] as const) {
        this.run(this.inside(where, 'ip', 'address', 'add', `10.9.${i}.${last}/24`, 'dev', device));
        this.run(this.inside(where, 'ip', 'address', 'add', `fd09:${i}::${last}/64`, 'dev', device, 'nodad'));
        this.run(this.inside(where, 'ip', 'link', 'set', 'dev', device, 'up'));
      }
    }
    this.#firewall();
    this.#database();
    await this.startServer();
    const web = `require('node:net').createServer((c) => c.on('error', () => {}).resume().write('hello')).listen(${WEB}, '::')`;
    this.start(this.inside('server', process.execPath, '-e', web));
    await this.startHelper();
  }

  get #config(): string {
    return join(this.dir, 'agent.yaml');
  }

  #firewall(): void {
    const rules = join(this.dir, 'firewall');
    for (const folder of [rules, join(this.dir, 'lease'), join(this.dir, 'standby')]) mkdirSync(folder);
    // A standby's data, of which the helper ends no server: there is no unit to kill here.
    writeFileSync(join(this.dir, 'standby/standby.signal'), '');
    const yaml = {
      paths: { firewall_dir: rules },
      postgres: { data_dir: join(this.dir, 'standby') },
      firewall: { enabled: true, client_ports: [WEB], lease_socket: this.#socket },
    };
    writeFileSync(this.#config, JSON.stringify(yaml), { mode: 0o600 });
    const { config } = loadConfig(this.#config);
    for (const { name, content } of firewallFiles(config)) writeFileSync(join(rules, name), content);
    this.run(this.inside('server', 'ipset', 'restore', '-exist', '-file', join(rules, 'sets')));
    this.run(this.inside('server', 'iptables-restore', '--noflush', '--wait', '30', join(rules, 'boot.v4')));
    this.run(this.inside('server', 'ip6tables-restore', '--noflush', '--wait', '30', join(rules, 'boot.v6')));
    this.run(this.inside('server', 'ipset', 'add', 'cloudify-peers4', '10.9.1.2'));
    this.run(this.inside('server', 'ipset', 'add', 'cloudify-peers6', 'fd09:1::2'));
  }

  #database(): void {
    const home = join(this.dir, 'pg');
    mkdirSync(home);
    chownSync(this.dir, idOf('-u'), idOf('-g'));
    chownSync(home, idOf('-u'), idOf('-g'));
    this.run([...AS_POSTGRES, join(bin, 'initdb'), '-D', join(home, 'data'), '-A', 'trust', '-N']);
    writeFileSync(
      join(home, 'data/pg_hba.conf'),
      'local all all trust\nhost all all all trust\nhost replication all all trust\n',
    );
    chownSync(join(home, 'data/pg_hba.conf'), idOf('-u'), idOf('-g'));
  }

  async startServer(): Promise<void> {
    const home = join(this.dir, 'pg');
    const settings = ['listen_addresses=*', `unix_socket_directories=${home}`, 'fsync=off'].flatMap((one) => [
      '-c',
      one,
    ]);
    const postgres = [join(bin, 'postgres'), '-D', join(home, 'data'), ...settings];
    this.server = this.start(this.inside('server', ...AS_POSTGRES, ...postgres));
    await eventually('the server answers', PATIENCE, () => this.sql('select 1') === '1');
  }

  /** Over the Unix socket, which no rule reaches; empty when it does not answer. */
  sql(text: string): string {
    try {
      return this.run([
        join(bin, 'psql'),
        '-h',
        join(this.dir, 'pg'),
        '-U',
        'postgres',
        '-XAtc',
        text,
      ]).trim();
    } catch {
      return '';
    }
  }

  /** The whole server at once, as the lease helper does: not to be refused. */
  killServer(): void {
    const pids = this.run(['pgrep', '-P', String(this.server?.child.pid)])
      .split('\n')
      .filter(Boolean);
    for (const pid of [String(this.server?.child.pid), ...pids]) process.kill(Number(pid), 'SIGKILL');
  }

  async startHelper(): Promise<void> {
    const helper = this.start(
      this.inside('server', process.execPath, main, 'helper', 'lease', '--config', this.#config),
    );
    await eventually('the lease helper listens', PATIENCE, () => helper.said().includes('is held here'));
    this.helper = helper;
  }

  /** No entry lets clients in. */
  shut(): boolean {
    return !/^\d+ timeout /m.test(this.run(this.inside('server', 'ipset', 'list', 'cloudify-lease')));
  }

  /** In order, as an agent does that hands over. */
  async close(): Promise<boolean> {
    const lease = createKernelLease({ socketPath: this.#socket });
    const closed = await lease.close(PATIENCE);
    lease.dispose();
    return closed.kind === 'done';
  }

  /** An agent that renews until it is stopped. `keep`: it begins with what opens nothing. */
  async renewing(keep = false): Promise<() => void> {
    const lease = createKernelLease({ socketPath: this.#socket });
    const until = () => performance.now() + RIGHT;
    await eventually(
      'the ports are open',
      PATIENCE,
      async () => (await (keep ? lease.keep(until()) : lease.renew(until()))).kind === 'done',
    );
    const timer = setInterval(() => void lease.renew(until()), 300);
    return () => {
      clearInterval(timer);
      lease.dispose();
    };
  }

  /** What an agent is told that does not know whether anything is open. */
  async keeps(): Promise<boolean> {
    const lease = createKernelLease({ socketPath: this.#socket });
    const kept = await lease.keep(performance.now() + RIGHT);
    lease.dispose();
    return kept.kind === 'done';
  }

  /** A client of the database that only waits, without keep-alive. */
  waiting(host: string, from: 'server' | 'client' | 'member' = 'client'): Running {
    const target = `host=${host} user=postgres keepalives=0 connect_timeout=60`;
    return this.start(this.inside(from, join(bin, 'psql'), target, '-Xc', 'select pg_sleep(3600)'));
  }

  /** A client of another port that only listens. */
  listening(host: string, from: 'server' | 'client' = 'client'): Running {
    const talk = `const s = require('node:net').connect({ host: process.argv[1], port: ${WEB} });
      s.on('data', () => process.stdout.write('here ')); s.on('error', () => {}); s.on('close', () => process.exit(0))`;
    return this.start(this.inside(from, process.execPath, '-e', talk, host));
  }

  /** A member that is sent the WAL. */
  streaming(into: string): Running {
    mkdirSync(into);
    chownSync(into, idOf('-u'), idOf('-g'));
    const receive = [join(bin, 'pg_receivewal'), '-h', '10.9.1.1', '-U', 'postgres', '-D', into, '--no-loop'];
    return this.start(this.inside('member', ...AS_POSTGRES, ...receive));
  }

  end(): void {
    this.helper?.child.kill('SIGCONT');
    for (const child of this.#children.toReversed()) child.kill('SIGKILL');
    rmSync(this.dir, { recursive: true, force: true });
  }
}
