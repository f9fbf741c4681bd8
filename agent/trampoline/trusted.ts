/** Reading as root only what nobody but root can have written. */
import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync, type Stats } from 'node:fs';
import { Refusal } from './command.ts';

const OTHERS_MAY_WRITE = 0o022;
const LARGEST = 1024 * 1024;

function ownedByRoot(path: string, stats: Stats): void {
  if (stats.uid !== 0) throw new Refusal(`${path} does not belong to root`);
  if ((stats.mode & OTHERS_MAY_WRITE) !== 0) throw new Refusal(`${path} can be written by others than root`);
}

/**
 * Every folder from / down to `dir`: a real folder of root's that nobody else can change. With that, nothing
 * below can be exchanged between this look and what follows it.
 */
export function trustFolder(dir: string): void {
  const parts = dir.split('/').filter(Boolean);
  for (let depth = 0; depth <= parts.length; depth++) {
    const path = `/${parts.slice(0, depth).join('/')}`;
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (!stats?.isDirectory()) throw new Refusal(`${path} is not a folder`);
    ownedByRoot(path, stats);
  }
}

/** A file's text. Throws a Refusal when it, or a folder above it, is a link or in other hands than root's. */
export function readTrusted(path: string): string {
  trustFolder(path.slice(0, path.lastIndexOf('/')));
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    throw new Refusal(`${path} cannot be read`);
  }
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) throw new Refusal(`${path} is not a file`);
    if (stats.nlink !== 1) throw new Refusal(`${path} has another name`);
    if (stats.size > LARGEST) throw new Refusal(`${path} is too large`);
    ownedByRoot(path, stats);
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

const FOLDERS = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'] as const;

/**
 * The full path of a program in a folder of the system; never by PATH. Undefined when it is not installed.
 */
export function programPath(name: string): string | undefined {
  for (const folder of FOLDERS) {
    const path = `${folder}/${name}`;
    const stats = lstatSync(path, { throwIfNoEntry: false });
    // A link (iptables-restore is one) in a folder that only root writes is as good as what it names.
    if (stats && stats.uid === 0 && (stats.isSymbolicLink() || (stats.mode & OTHERS_MAY_WRITE) === 0))
      return path;
  }
  return undefined;
}
