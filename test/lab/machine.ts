/** One VM of the lab: systemd as PID 1 in its own namespaces, on an overlay of the base tree. */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fateOf, freeze, isFrozen, killAll, makeCgroup, pidsOf, starve } from './cgroup.ts';
import { type Done, type Input, must, run, until } from './host.ts';
import type { NodePlace } from './names.ts';
import { dropPort, freshPort, silence } from './network.ts';

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface ExecOptions {
  /** Default root. */
  readonly user?: string;
  /** Milliseconds, default 60000. */
  readonly timeout?: number;
  readonly input?: Input;
  readonly env?: Readonly<Record<string, string>>;
}

/** The pid on the host of the VM's PID 1. */
function initOf(nspawn: number): number | undefined {
  try {
    const children = readFileSync(`/proc/${nspawn}/task/${nspawn}/children`, 'utf8').trim().split(/\s+/);
    return children.map(Number).find((pid) => {
      const inner = /^NSpid:\s+(.+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
      return inner?.split(/\s+/).at(-1) === '1';
    });
  } catch {
    return undefined;
  }
}

export class Machine {
  readonly place: NodePlace;
  readonly id: string;
  readonly ip: string;
  readonly ip6: string;
  readonly #tree: string;
  readonly #hosts: string;

  constructor(place: NodePlace, tree: string, hosts: string) {
    this.place = place;
    this.id = place.id;
    this.ip = place.ip;
    this.ip6 = place.ip6;
    this.#tree = tree;
    this.#hosts = hosts;
  }

  get #nspawn(): number | undefined {
    try {
      const pid = Number(readFileSync(join(this.place.dir, 'pid'), 'utf8'));
      const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      return line.includes(`--machine=${this.place.machine}`) ? pid : undefined;
    } catch {
      return undefined;
    }
  }

  /** Pid of its PID 1 on the host; undefined when it is off. */
  get init(): number | undefined {
    const nspawn = this.#nspawn;
    return nspawn === undefined ? undefined : initOf(nspawn);
  }

  /** A new disk: an empty overlay on the base tree. */
  async create(): Promise<void> {
    const { dir, root, id } = this.place;
    const [upper, work] = [join(dir, 'upper'), join(dir, 'work')];
    for (const folder of [upper, work, root]) mkdirSync(folder, { recursive: true });
    const options = `lowerdir=${this.#tree},upperdir=${upper},workdir=${work}`;
    await must(['mount', '-t', 'overlay', this.place.machine, '-o', options, root]);
    writeFileSync(join(root, 'etc/hostname'), `${id}\n`);
    writeFileSync(join(root, 'etc/hosts'), this.#hosts);
  }

  /** Power on, on the disk as it is. Returns once PID 1 is there; `ready` waits for the rest. */
  async powerOn(): Promise<void> {
    if (this.init !== undefined) return;
    const { machine, root, netns, dir, id } = this.place;
    await freshPort(this.place);
    const groups = makeCgroup(machine);
    const argv = [
      ...[
        'systemd-nspawn',
        '-q',
        '-D',
        root,
        '--boot',
        '--register=no',
        '--keep-unit',
        `--machine=${machine}`,
      ],
      ...[
        `--hostname=${id}`,
        `--network-namespace-path=/run/netns/${netns}`,
        '--resolv-conf=off',
        '--timezone=off',
      ],
      ...['--link-journal=no', '--capability=CAP_NET_ADMIN,CAP_SYS_NICE', '--console=pipe'],
    ];
    const console = openSync(join(dir, 'console'), 'a');
    const script =
      'n=$1; shift; while [ "$n" -gt 0 ]; do echo $$ >"$1"; shift; n=$((n - 1)); done; exec "$@"';
    const child = spawn('sh', ['-c', script, 'sh', String(groups.length), ...groups, ...argv], {
      detached: true,
      stdio: ['ignore', console, console],
    });
    closeSync(console);
    child.unref();
    writeFileSync(join(dir, 'pid'), `${child.pid}`);
    await until(`${id} has a PID 1 (${join(dir, 'console')} may say why not)`, 10_000, () => this.init, 20);
  }

  /** Waits until systemd has started everything, whether or not all of it is well. */
  async ready(timeout = 60_000): Promise<void> {
    await until(`${this.id} is up`, timeout, async () => {
      if (this.init === undefined) return false;
      const { stdout } = await this.exec(['systemctl', 'is-system-running']);
      return /^(running|degraded)/.test(stdout);
    });
  }

  async boot(timeout?: number): Promise<void> {
    await this.powerOn();
    await this.ready(timeout);
  }

  /**
   * Everything in it ends at once, unasked, in silence; its disk stays. (The host's page cache stays as well:
   * nothing unsynced is lost.)
   */
  async powerCut(): Promise<void> {
    const [init, nspawn] = [this.init, this.#nspawn];
    await silence(this.place);
    for (const pid of [init, nspawn]) if (pid !== undefined) process.kill(pid, 'SIGKILL');
    await until(
      `${this.id} is off`,
      10_000,
      () => {
        killAll(this.place.machine);
        return pidsOf(this.place.machine).length === 0;
      },
      10,
    );
    dropPort(this.place);
  }

  /** Begins its shutdown; `off` waits for the end. */
  async shutDown(): Promise<void> {
    await this.exec(['systemctl', 'poweroff']);
  }

  async off(timeout = 120_000): Promise<void> {
    await until(`${this.id} is off`, timeout, () => this.#nspawn === undefined);
    dropPort(this.place);
  }

  /** On, and not frozen: a command would be carried out. */
  get awake(): boolean {
    return this.init !== undefined && !isFrozen(this.place.machine);
  }

  freeze(): void {
    freeze(this.place.machine, true);
  }

  thaw(): void {
    freeze(this.place.machine, false);
  }

  /** It gets this share of one core; null for all it wants. */
  starve(share: number | null): void {
    starve(this.place.machine, share);
  }

  /** The host's command that runs `command` (argv, or a text for sh) in the VM. Throws when it is off. */
  command(command: readonly string[] | string, options: ExecOptions = {}): string[] {
    const init = this.init;
    if (init === undefined) throw new Error(`${this.id} is off`);
    const user = options.user ?? 'root';
    const env = { PATH, LANG: 'C.UTF-8', HOME: user === 'root' ? '/root' : '/', ...options.env };
    const inner = typeof command === 'string' ? ['sh', '-c', command] : command;
    const as = user === 'root' ? [] : ['runuser', '-u', user, '--'];
    const script = '[ -z "$1" ] || echo $$ >"$1"; shift; exec "$@"';
    return [
      ...['sh', '-c', script, 'sh', fateOf(this.place.machine) ?? '', 'nsenter', '-t', String(init), '-a'],
      ...[
        'env',
        '-i',
        '--chdir=/',
        ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
        ...as,
        ...inner,
      ],
    ];
  }

  /** Runs it to its end. Never throws for what the command itself does. */
  exec(command: readonly string[] | string, options: ExecOptions = {}): Promise<Done> {
    return run(this.command(command, options), options.timeout, options.input);
  }

  /** As `exec`, but a failure throws with its output. Returns standard output. */
  async must(command: readonly string[] | string, options: ExecOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.exec(command, options);
    if (code === 0) return stdout;
    throw new Error(
      `${this.id}: ${[command].flat().join(' ')}: exit ${code}: ${stderr.trim()} ${stdout.trim()}`,
    );
  }

  async writeFile(path: string, text: string, mode = '0644', owner = 'root:root'): Promise<void> {
    await this.#write(path, text, mode, owner);
  }

  /** Copies one file of the host. */
  async copyIn(file: string, path: string, mode = '0755', owner = 'root:root'): Promise<void> {
    await this.#write(path, { file }, mode, owner);
  }

  async #write(path: string, input: Input, mode: string, owner: string): Promise<void> {
    const script = `mkdir -p "$(dirname "$1")" && cat >"$1.lab" && chown ${owner} "$1.lab" && chmod ${mode} "$1.lab" && mv "$1.lab" "$1"`;
    await this.must(['sh', '-c', script, 'sh', path], { input });
  }

  readFile(path: string): Promise<string> {
    return this.must(['cat', path]);
  }
}
