/**
 * A complete copy takes the place of the data directory, and what a crash leaves half-way never passes for a
 * database.
 */
import { constants, existsSync } from 'node:fs';
import {
  chmod,
  copyFile,
  lstat,
  open,
  readdir,
  readlink,
  rename,
  rm,
  rmdir,
  stat,
  symlink,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errno, makeDir, syncDir } from '../../platform/files.ts';
import { createSerial } from '../../platform/serial.ts';
import { clearMark, setMark } from './marks.ts';
import type { PgOptions } from './options.ts';
import { type Layout, layoutOf, OWN_FOLDERS, type Place, resolved } from './place.ts';
import { dropSpaces, type OnStep, placeSpaces, stagedIn } from './tablespace_folders.ts';
import { spacesOf } from './tablespaces.ts';

/**
 * Beside: a crash between the two renames leaves no data directory, which shows as empty. Inside: the mark is
 * set before the first change, and shows as broken. Both lead to another copy. What was replaced is kept
 * until the next one, where it is beside; inside it would be part of every copy of this database, and is
 * removed. With tablespaces there is the mark in either case: the old ones go first, while the old data still
 * says which they are, the new ones come last, when the new data does. What was replaced is none without
 * them.
 */
export async function exchange(o: PgOptions, place: Place, onStep: OnStep = () => {}): Promise<void> {
  const { dir, copy, replaced } = place;
  await rm(replaced, { recursive: true, force: true });
  onStep('links');
  await carryLinks(dir, copy);
  const had = spacesOf(dir).length > 0;
  const marked = place.inside || had || spacesOf(copy).length > 0;
  if (marked) {
    onStep('mark');
    setMark(o, 'a copy moves into place');
  }
  await dropSpaces(dir, onStep);
  if (place.inside) await swapContents(place, onStep);
  else await swapFolders(place, onStep);
  await placeSpaces(dir, onStep);
  if (marked) {
    onStep('unmark');
    clearMark(o);
  }
  if (!place.inside && !had) return;
  onStep('remove');
  await rm(replaced, { recursive: true, force: true });
}

async function swapFolders({ dir, copy, replaced }: Place, onStep: OnStep): Promise<void> {
  if (existsSync(dir)) {
    const holds = (await readdir(dir)).length > 0;
    onStep('away');
    if (holds) await rename(dir, replaced);
    else await rmdir(dir);
  }
  onStep('here');
  await rename(copy, dir);
  syncDir(dirname(dir));
}

async function swapContents({ dir, copy, replaced }: Place, onStep: OnStep): Promise<void> {
  const layout = layoutOf(dir);
  const { mode } = await stat(copy);
  makeDir(replaced, 0o700);
  for (const name of await readdir(dir)) {
    if (OWN_FOLDERS.includes(name)) continue;
    onStep(`away ${name}`);
    const path = join(dir, name);
    if (layout.keeps(path)) await emptied(path, layout);
    else await rename(path, join(replaced, name));
  }
  await moveContents(copy, dir, onStep);
  await rmdir(copy);
  await chmod(dir, mode & 0o777);
  syncDir(dir);
}

/**
 * The source sends no links (a postgresql.conf that lies elsewhere): this node's own go on where the copy has
 * nothing.
 */
async function carryLinks(from: string, to: string): Promise<void> {
  if (!existsSync(from)) return;
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const target = join(to, entry.name);
    if (!entry.isSymbolicLink() || (await exists(target))) continue;
    await symlink(await readlink(join(from, entry.name)), target);
  }
  syncDir(to);
}

const exists = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );

/** What is there already at a place is a folder that stays, perhaps of another filesystem. */
async function moveContents(from: string, to: string, onStep: OnStep): Promise<void> {
  for (const name of await readdir(from)) {
    onStep(`here ${name}`);
    const [source, target] = [join(from, name), join(to, name)];
    if (existsSync(target)) {
      await moveContents(source, target, () => {});
      await rmdir(source);
    } else await move(source, target);
  }
  syncDir(to);
}

async function move(source: string, target: string): Promise<void> {
  try {
    await rename(source, target);
    return;
  } catch (error) {
    if (errno(error) !== 'EXDEV') throw error;
  }
  const found = await lstat(source);
  if (found.isDirectory()) {
    makeDir(target, found.mode & 0o777);
    await moveContents(source, target, () => {});
    await rmdir(source);
    return;
  }
  if (found.isSymbolicLink()) {
    await symlink(await readlink(source), target);
    await rm(source);
    return;
  }
  await copyFile(source, target, constants.COPYFILE_EXCL);
  await chmod(target, found.mode & 0o777);
  const file = await open(target, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
  await rm(source);
}

async function emptied(dir: string, layout: Layout): Promise<void> {
  for (const name of await readdir(dir)) {
    const path = join(dir, name);
    if (layout.keeps(path)) await emptied(path, layout);
    else await rm(path, { recursive: true, force: true });
  }
  syncDir(dir);
}

/**
 * Takes everything out of the data directory, but not itself, and not what stays in it: that may be a mount,
 * and not ours to make.
 */
export async function emptyData(dataDir: string): Promise<void> {
  const dir = resolved(dataDir);
  if (existsSync(dir)) await emptied(dir, layoutOf(dir));
}

const tidying = createSerial();

/**
 * Takes away what an exchange that was ended left in the data directory and its tablespaces: it would be in
 * every copy of this database. A start does not wait for it (it may be large); the next copy does.
 */
export function tidy(dataDir: string): void {
  const staged = spacesOf(dataDir).map(({ location }) => stagedIn(location));
  const left = [...OWN_FOLDERS.map((name) => join(dataDir, name)), ...staged].filter((path) =>
    existsSync(path),
  );
  if (left.length === 0) return;
  void tidying(() => Promise.allSettled(left.map((path) => rm(path, { recursive: true, force: true }))));
}

export const tidied = (): Promise<void> => tidying(() => {});
