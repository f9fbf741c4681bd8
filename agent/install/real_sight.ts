/** This machine as install reads it. */

import { Buffer } from 'node:buffer';
import {
  closeSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  statSync,
} from 'node:fs';
import { AgentError } from '../errors.ts';
import { errno } from '../platform/files.ts';
import { run } from '../platform/process.ts';
import { parseGroup, parsePasswd } from './accounts.ts';
import type { Seen, Sight, UnitSeen } from './machine.ts';
import { realTenants } from './real_tenants.ts';

const ABSENT = ['ENOENT', 'ENOTDIR', 'EACCES'];

function look(path: string): Seen | undefined {
  let stat: ReturnType<typeof lstatSync>;
  try {
    stat = lstatSync(path);
  } catch (error) {
    if (ABSENT.includes(errno(error) ?? '')) return undefined;
    throw error;
  }
  const { uid, gid, mode } = stat;
  return {
    type: stat.isFile() ? 'file' : stat.isDirectory() ? 'folder' : stat.isSymbolicLink() ? 'link' : 'other',
    owner: accounts().users.find((user) => user.uid === uid)?.name ?? String(uid),
    group: accounts().groups.find((group) => group.gid === gid)?.name ?? String(gid),
    mode: mode & 0o7777,
    ...(stat.isSymbolicLink() ? { target: readlinkSync(path) } : {}),
  };
}

/** Read anew at each use: useradd changes them in between. */
export const accounts = () => ({
  users: parsePasswd(readFileSync('/etc/passwd', 'utf8')),
  groups: parseGroup(readFileSync('/etc/group', 'utf8')),
});

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if (errno(cause) === 'ENOENT') return undefined;
    throw new AgentError({
      class: 'operator',
      code: 'unreadable',
      message: `cannot read ${path}`,
      hint: 'run this as root',
      cause,
    });
  }
}

const CHUNK = 1 << 20;

function same(a: string, b: string): boolean {
  const [one, two] = [statSync(a), statSync(b)];
  if (one.ino === two.ino && one.dev === two.dev) return true;
  if (one.size !== two.size) return false;
  const files = [openSync(a, 'r'), openSync(b, 'r')] as const;
  const [left, right] = [Buffer.alloc(CHUNK), Buffer.alloc(CHUNK)];
  try {
    for (let at = 0; at < one.size; at += CHUNK) {
      const count = readSync(files[0], left, 0, CHUNK, at);
      if (readSync(files[1], right, 0, CHUNK, at) !== count) return false;
      if (!left.subarray(0, count).equals(right.subarray(0, count))) return false;
    }
    return true;
  } finally {
    for (const file of files) closeSync(file);
  }
}

const PROPERTIES = ['Id', 'LoadState', 'UnitFileState', 'ActiveState', 'NeedDaemonReload', 'MainPID'];

/** Was the file replaced that this process was started from? The kernel says so in the link's text. */
function replacedUnder(pid: string | undefined): boolean {
  try {
    return Number(pid) > 0 && readlinkSync(`/proc/${pid}/exe`).endsWith(' (deleted)');
  } catch {
    return false;
  }
}

export function parseUnits(
  text: string,
  replaced: (pid: string | undefined) => boolean,
): Map<string, UnitSeen> {
  const units = new Map<string, UnitSeen>();
  for (const block of text.trim().split(/\n\n+/)) {
    const value = new Map(
      block.split('\n').map((line): [string, string] => {
        const at = line.indexOf('=');
        return [line.slice(0, at), line.slice(at + 1)];
      }),
    );
    const id = value.get('Id');
    if (id === undefined) continue;
    units.set(id, {
      loaded: value.get('LoadState') === 'loaded',
      enabled: value.get('UnitFileState')?.startsWith('enabled') === true,
      masked: value.get('LoadState') === 'masked',
      active: ['active', 'activating', 'reloading'].includes(value.get('ActiveState') ?? ''),
      failed: value.get('ActiveState') === 'failed',
      outdated: value.get('NeedDaemonReload') === 'yes' || replaced(value.get('MainPID')),
    });
  }
  return units;
}

async function units(names: readonly string[]): Promise<ReadonlyMap<string, UnitSeen>> {
  if (names.length === 0) return new Map();
  const shown = await run('systemctl', ['show', '-p', PROPERTIES.join(','), '--', ...names], {
    deadline: 10_000,
  }).catch(() => undefined);
  return parseUnits(shown?.stdout ?? '', replacedUnder);
}

export const realSight: Sight = {
  group: (name) => accounts().groups.find((group) => group.name === name),
  user(name) {
    const { users, groups } = accounts();
    const found = users.find((user) => user.name === name);
    if (found === undefined) return undefined;
    const group = groups.find(({ gid }) => gid === found.gid)?.name ?? String(found.gid);
    return { group, home: found.home };
  },
  look,
  read,
  list(path) {
    try {
      return readdirSync(path);
    } catch {
      return [];
    }
  },
  same,
  tenants: realTenants,
  units,
};
