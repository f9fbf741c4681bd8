/**
 * A machine in memory: accounts, paths with owners, units. Programs are the few that install, teardown and
 * uninstall run.
 */
import { dirname } from 'node:path';
import type { Machine, Seen, UnitSeen } from '../../agent/install/machine.ts';

interface Entry extends Seen {
  content?: string;
}

export interface FakeUnit {
  enabled: boolean;
  active: boolean;
  outdated: boolean;
  failed?: boolean;
}

export class FakeMachine implements Machine {
  readonly groups = new Map<string, string[]>();
  readonly users = new Map<string, { group: string; home: string }>();
  readonly paths = new Map<string, Entry>();
  readonly unitStates = new Map<string, FakeUnit>();
  /** Every program that was run, as a line. */
  readonly ran: string[] = [];
  /** Lines that fail. */
  failing: (line: string) => boolean = () => false;
  /** What programs print, by the beginning of their line. */
  readonly prints = new Map<string, string>();

  /** Why a user is not the agent's alone. */
  readonly shared = new Map<string, string[]>();

  tenants(user: string): readonly string[] {
    return this.shared.get(user) ?? [];
  }

  constructor() {
    this.groups.set('postgres', []);
    this.users.set('postgres', { group: 'postgres', home: '/var/lib/postgresql' });
  }

  /** Lays a file of root's. */
  lay(path: string, content = '', over: Partial<Entry> = {}): void {
    this.paths.set(path, { type: 'file', owner: 'root', group: 'root', mode: 0o644, content, ...over });
  }

  group(name: string) {
    const members = this.groups.get(name);
    return members === undefined ? undefined : { members };
  }

  user(name: string) {
    return this.users.get(name);
  }

  look(path: string): Seen | undefined {
    return this.paths.get(path);
  }

  read(path: string): string | undefined {
    return this.paths.get(path)?.content;
  }

  list(path: string): string[] {
    const names = [...this.paths.keys()].flatMap((other) => {
      if (!other.startsWith(`${path}/`)) return [];
      return [other.slice(path.length + 1).split('/')[0] ?? ''];
    });
    return [...new Set(names)];
  }

  same(a: string, b: string): boolean {
    return this.paths.get(a)?.content === this.paths.get(b)?.content;
  }

  units(names: readonly string[]): Promise<ReadonlyMap<string, UnitSeen>> {
    const seen = names.flatMap((name): [string, UnitSeen][] => {
      const unit = this.unitStates.get(name);
      return unit === undefined ? [] : [[name, { loaded: true, masked: false, ...unit }]];
    });
    return Promise.resolve(new Map(seen));
  }

  make: Machine['make'] = (wanted) => {
    switch (wanted.kind) {
      case 'group':
        this.groups.set(wanted.name, []);
        break;
      case 'user':
        this.users.set(wanted.name, { group: wanted.group, home: wanted.home });
        break;
      case 'member':
        this.groups.get(wanted.group)?.push(wanted.user);
        break;
      case 'move': {
        const given = (name: string) => wanted.users.find(([from]) => from === name)?.[1] ?? name;
        for (const [path, entry] of this.paths)
          if (wanted.folders.some((dir) => path === dir || path.startsWith(`${dir}/`)))
            this.paths.set(path, { ...entry, owner: given(entry.owner), group: given(entry.group) });
        const members = this.groups.get(wanted.group) ?? [];
        this.groups.set(
          wanted.group,
          members.filter((name) => given(name) === name),
        );
        break;
      }
      case 'folder':
        this.#owned(wanted.owner, wanted.group);
        this.paths.set(wanted.path, { type: 'folder', ...pick(wanted) });
        break;
      case 'file': {
        this.#owned(wanted.owner, wanted.group);
        const content = wanted.keep ? (this.read(wanted.path) ?? wanted.content) : wanted.content;
        this.paths.set(wanted.path, { type: 'file', ...pick(wanted), content });
        break;
      }
      case 'executable': {
        const content = this.read(wanted.source) ?? '';
        this.lay(wanted.path, content, { mode: 0o755 });
        break;
      }
      case 'link':
        this.lay(wanted.path, '', { type: 'link', target: wanted.target, mode: 0o777 });
    }
    return Promise.resolve();
  };

  remove(path: string, whole = false): Promise<void> {
    if (whole || this.list(path).length === 0) {
      for (const other of [...this.paths.keys()])
        if (other === path || other.startsWith(`${path}/`)) this.paths.delete(other);
    }
    return Promise.resolve();
  }

  async setAside(path: string, into: string): Promise<void> {
    for (const [other, entry] of [...this.paths]) {
      if (other !== path && !other.startsWith(`${path}/`)) continue;
      this.paths.delete(other);
      this.paths.set(into + other.slice(dirname(path).length), entry);
    }
  }

  run(argv: readonly string[]): Promise<string> {
    const line = argv.join(' ');
    this.ran.push(line);
    if (this.failing(line)) return Promise.reject(new Error(`failed: ${line}`));
    if (argv[0] === 'systemctl') this.#systemctl(argv.slice(1).filter((word) => !word.startsWith('--')));
    if (argv[0] === 'userdel') {
      this.users.delete(argv[1] ?? '');
      this.groups.delete(argv[1] ?? '');
      for (const members of this.groups.values())
        if (members.includes(argv[1] ?? '')) members.splice(members.indexOf(argv[1] ?? ''), 1);
    }
    if (argv[0] === 'groupdel') this.groups.delete(argv[1] ?? '');
    const printed = [...this.prints].find(([begin]) => line.startsWith(begin));
    return Promise.resolve(printed?.[1] ?? '');
  }

  #systemctl([verb, ...names]: string[]): void {
    for (const name of names) {
      const unit = this.unitStates.get(name) ?? { enabled: false, active: false, outdated: false };
      if (verb === 'enable') unit.enabled = true;
      if (verb === 'disable') Object.assign(unit, { enabled: false, active: false });
      if (verb === 'start' || verb === 'restart') Object.assign(unit, { active: true, outdated: false });
      if (verb === 'stop') unit.active = false;
      if (verb === 'reset-failed') unit.failed = false;
      this.unitStates.set(name, unit);
    }
  }

  /** Nothing can be given to who does not exist yet: the order of a plan counts. */
  #owned(owner: string, group: string): void {
    const userThere = owner === 'root' || this.users.has(owner);
    const groupThere = group === 'root' || this.groups.has(group);
    if (!userThere || !groupThere) throw new Error(`no such account: ${owner}:${group}`);
  }
}

const pick = ({ owner, group, mode }: { owner: string; group: string; mode: number }) => ({
  owner,
  group,
  mode,
});
