/** Changes to this machine, as root. */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  copyFileSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { AgentError } from '../errors.ts';
import { errno, makeDir, syncDir } from '../platform/files.ts';
import { run, runOk } from '../platform/process.ts';
import type { Hand } from './machine.ts';
import { moveUsers } from './move.ts';
import { accounts, realSight } from './real_sight.ts';
import type { Ownership, WantedFile, WantedFolder } from './wanted.ts';

const SHELL = '/usr/sbin/nologin';

function ids({ owner, group }: Ownership): [uid: number, gid: number] {
  const { users, groups } = accounts();
  const uid = users.find(({ name }) => name === owner)?.uid;
  const gid = groups.find(({ name }) => name === group)?.gid;
  if (uid !== undefined && gid !== undefined) return [uid, gid];
  throw new AgentError({
    class: 'operator',
    code: 'no_such_user',
    message: uid === undefined ? `there is no user ${owner}` : `there is no group ${group}`,
    hint: 'see that the programs the cluster runs (PostgreSQL) are installed',
  });
}

/**
 * Some lie in folders of other users: what is opened without following links is what is given away (PROTOCOL
 * H.1).
 */
function makeFolder(wanted: WantedFolder): void {
  const [uid, gid] = ids(wanted);
  try {
    mkdirSync(wanted.path, 0o700);
  } catch (error) {
    if (errno(error) === 'ENOENT') {
      makeDir(dirname(wanted.path), 0o755);
      mkdirSync(wanted.path, 0o700);
    } else if (errno(error) !== 'EEXIST') throw error;
  }
  const fd = openSync(wanted.path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    fchownSync(fd, uid, gid);
    fchmodSync(fd, wanted.mode);
  } finally {
    closeSync(fd);
  }
}

/** A new file in the same folder takes its place: never half of it, never with another mode. */
function replaceBy(path: string, fill: (temporary: string) => void, ownership: Ownership): void {
  const [uid, gid] = ids(ownership);
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    fill(temporary);
    chownSync(temporary, uid, gid);
    chmodSync(temporary, ownership.mode);
    const fd = openSync(temporary, 'r');
    fsyncSync(fd);
    closeSync(fd);
    renameSync(temporary, path);
    syncDir(dirname(path));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

async function checked(wanted: WantedFile): Promise<void> {
  if (wanted.check !== 'sudoers') return;
  const dir = mkdtempSync('/run/cloudify-install-');
  try {
    const path = join(dir, 'sudoers');
    writeFileSync(path, wanted.content, { mode: 0o440 });
    const { code, stdout, stderr } = await run('visudo', ['-c', '-f', path], { deadline: 10_000 });
    if (code === 0) return;
    throw new AgentError({
      class: 'fatal',
      code: 'sudoers_refused',
      message: `visudo refuses ${wanted.path}: ${`${stdout}${stderr}`.trim().replaceAll(path, wanted.path)}`,
      hint: 'nothing was put in place; report this with the version of sudo',
    });
  } finally {
    rmSync(dir, { recursive: true });
  }
}

async function makeFile(wanted: WantedFile): Promise<void> {
  await checked(wanted);
  const there = realSight.look(wanted.path);
  makeDir(dirname(wanted.path), 0o755);
  if (wanted.keep === true && there?.type === 'file') {
    const fd = openSync(wanted.path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      if (fstatSync(fd).isFile()) fchownSync(fd, ...ids(wanted));
      fchmodSync(fd, wanted.mode);
    } finally {
      closeSync(fd);
    }
    return;
  }
  replaceBy(wanted.path, (path) => writeFileSync(path, wanted.content, { mode: 0o600, flag: 'wx' }), wanted);
}

function makeLink(path: string, target: string): void {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  symlinkSync(target, temporary);
  renameSync(temporary, path);
}

const account = (name: string, group: string, home: string): string[] => [
  ...['useradd', '--system', '--no-create-home', '--no-user-group', '--gid', group],
  ...['--home-dir', home, '--shell', SHELL, name],
];

const runProgram = async (argv: readonly string[], ms = 30_000): Promise<string> => {
  const [program = '', ...args] = argv;
  return (await runOk(program, args, { deadline: ms })).stdout;
};

export const realHand: Hand = {
  async make(wanted) {
    switch (wanted.kind) {
      case 'group':
        await runProgram(['groupadd', '--system', wanted.name]);
        return;
      case 'user':
        await runProgram(account(wanted.name, wanted.group, wanted.home));
        return;
      case 'member':
        await runProgram(['usermod', '--append', '--groups', wanted.group, wanted.user]);
        return;
      case 'move':
        await moveUsers(wanted, realSight, runProgram);
        return;
      case 'folder':
        makeFolder(wanted);
        return;
      case 'file':
        await makeFile(wanted);
        return;
      case 'executable':
        replaceBy(wanted.path, (path) => copyFileSync(wanted.source, path, constants.COPYFILE_EXCL), {
          owner: 'root',
          group: 'root',
          mode: 0o755,
        });
        return;
      case 'link':
        makeLink(wanted.path, wanted.target);
    }
  },
  async remove(path, whole = false) {
    const seen = realSight.look(path);
    if (seen === undefined) return;
    if (seen.type !== 'folder') rmSync(path);
    // rm goes down by open folders: no link that an owner lays meanwhile leads it elsewhere.
    else if (whole) await runProgram(['rm', '-rf', '--one-file-system', '--', path], 600_000);
    else if (realSight.list(path).length === 0) rmdirSync(path);
  },
  async setAside(path, into) {
    mkdirSync(into, { recursive: true, mode: 0o700 });
    const kept = join(into, basename(path));
    try {
      renameSync(path, kept);
    } catch (cause) {
      // A mount point cannot be renamed. Copied beside first, so that a call that was ended leaves one whole.
      if (errno(cause) !== 'EBUSY' && errno(cause) !== 'EXDEV') throw cause;
      await runProgram(['cp', '-a', '-T', '--', path, kept], 600_000);
      await runProgram(['find', path, '-xdev', '-mindepth', '1', '-delete'], 600_000);
    }
  },
  run: runProgram,
};
