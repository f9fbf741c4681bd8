/**
 * Where a copy of the database is written and how it takes its place. Usually beside the data directory,
 * which is then renamed. A mount point cannot be renamed, nor anything where the folder above is not ours:
 * there the copy is written inside, and contents are exchanged. A link to the data directory stays, and so do
 * mounts in it and a linked pg_wal.
 */

import { accessSync, constants, lstatSync, readdirSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import process from 'node:process';
import { messageOf } from '../../errors.ts';
import { mountPoints } from '../../platform/mounts.ts';

/** In the data directory: the copy until it is complete, and what it replaced until that is removed. */
export const STAGED = '.agent-clone';
const REPLACED = '.agent-replaced';
export const OWN_FOLDERS: readonly string[] = [STAGED, REPLACED];

export type Place = {
  /** The data directory itself, without links. */
  readonly dir: string;
  readonly inside: boolean;
  readonly copy: string;
  readonly replaced: string;
};

export type Layout = {
  /**
   * Is something mounted here or below, or is it a linked pg_wal? It stays, whatever it holds. Other links
   * are not ours to follow.
   */
  keeps(path: string): boolean;
};

export function layoutOf(dir: string): Layout {
  const mounts = mountPoints();
  return {
    keeps: (path) =>
      mounts.some((mount) => mount === path || mount.startsWith(`${path}/`)) ||
      (path === join(dir, 'pg_wal') && isLinkedFolder(path)),
  };
}

function isLinkedFolder(path: string): boolean {
  return (
    lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true &&
    statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
  );
}

/** The data directory without links; of a link to nothing yet, what it names. */
export function resolved(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const link = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink();
    const named = link ? resolve(dirname(path), readlinkSync(path)) : path;
    try {
      return join(realpathSync(dirname(named)), basename(named));
    } catch {
      return named;
    }
  }
}

/** Where the data directory and its pg_wal are, by the names given and without links. */
export const dataPlaces = (dataDir: string): string[] => [
  ...new Set([dataDir, resolved(dataDir), resolved(join(dataDir, 'pg_wal'))]),
];

const besides = (dir: string): Place => ({
  dir,
  inside: false,
  copy: `${dir}.clone`,
  replaced: `${dir}.replaced`,
});

/**
 * Throws with what is wrong, and what to do, where no copy could take the data directory's place. Changes
 * nothing.
 */
export function placeOf(dataDir: string): Place {
  const dir = resolved(dataDir);
  const stat = statSync(dir, { throwIfNoEntry: false });
  if (stat === undefined) {
    const above = nearest(dir);
    if (!writable(above))
      throw new Error(
        `${dir} cannot be created: ${above} is not writable by the database's user; create ${dir} and give it to that user`,
      );
    return besides(dir);
  }
  if (!stat.isDirectory()) throw new Error(`${dataDir} is not a folder`);
  const names = readdirSync(dir);
  refuseLostAndFound(dir, names);
  const layout = layoutOf(dir);
  const kept = names.map((name) => join(dir, name)).filter((path) => layout.keeps(path));
  if (!layout.keeps(dir) && kept.length === 0 && writable(dirname(dir))) return besides(dir);
  for (const path of [dir, ...kept]) {
    if (path !== dir) refuseLostAndFound(path, readdirSync(path));
    if (!writable(path) || (path === dir && stat.uid !== process.geteuid?.()))
      throw new Error(
        `${path} does not belong to the database's user (${process.geteuid?.()}): chown it, and give it mode 0700`,
      );
  }
  return { dir, inside: true, copy: join(dir, STAGED), replaced: join(dir, REPLACED) };
}

/** Root's own, and in the way of every copy that is ever made of this database. */
function refuseLostAndFound(dir: string, names: readonly string[]): void {
  if (names.includes('lost+found'))
    throw new Error(
      `${dir} is the top of a filesystem (it has a lost+found): a database there cannot be copied; create a folder in it, and name that in postgres.data_dir`,
    );
}

/** Why nobody could copy the database that is there; undefined when nothing is wrong. */
export function whyNeverCopied(dataDir: string): string | undefined {
  return worded(() => {
    for (const dir of [dataDir, join(dataDir, 'pg_wal')]) refuseLostAndFound(dir, readdirSync(dir));
  });
}

/** See `placeOf`; undefined when nothing is wrong. */
export function whyNoPlace(dataDir: string): string | undefined {
  return worded(() => placeOf(dataDir));
}

function worded(look: () => unknown): string | undefined {
  try {
    look();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** Nothing there but what stays anyway. A folder that is missing holds nothing. */
export function holdsNothing(dataDir: string): boolean {
  const dir = resolved(dataDir);
  if (statSync(dir, { throwIfNoEntry: false }) === undefined) return true;
  const layout = layoutOf(dir);
  const bare = (folder: string): boolean =>
    readdirSync(folder).every((name) => {
      const path = join(folder, name);
      return layout.keeps(path) && bare(path);
    });
  return bare(dir);
}

function nearest(path: string): string {
  const above = dirname(path);
  return above === path || statSync(above, { throwIfNoEntry: false }) !== undefined ? above : nearest(above);
}

export function writable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
