/**
 * The folders of tablespaces on a disk: made, filled beside what is there, put in its place, emptied. The
 * folder itself always stays.
 */
import { lstatSync, readdirSync, type Stats, statSync } from 'node:fs';
import { readdir, rename, rm, rmdir, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import process from 'node:process';
import * as v from 'valibot';
import {
  errno,
  makeDir,
  PRIVATE,
  readIfPossible,
  readJson,
  removeDurably,
  syncDir,
  writeJson,
} from '../../platform/files.ts';
import { setMark } from './marks.ts';
import type { PgOptions } from './options.ts';
import { resolved, STAGED, writable } from './place.ts';
import { ownFolder, type Space, sharedWith, spacesOf } from './tablespaces.ts';

/** Told before each change of the disk; tests end here. */
export type OnStep = (what: string) => void;

/**
 * Where a copy of a tablespace is written until the database's own is complete: on the same filesystem, which
 * may be mounted there.
 */
export const stagedIn = (location: string): string => join(location, STAGED);

const IGNORED = [STAGED, 'lost+found'];

/** What an administrator does where the server's user may not. */
function making(location: string): string {
  const uid = process.geteuid?.();
  // Not by the environment, which may be of who this user was before.
  const passwd = readIfPossible('/etc/passwd') ?? '';
  const user = new RegExp(`^([^:]+):[^:]*:${uid}:`, 'm').exec(passwd)?.[1] ?? uid;
  return `as root, 'install -d -o ${user} -m 700 ${location}'`;
}

/** Is it there? Throws, with what to do, where the server could not use it. */
export function there(location: string): boolean {
  let found: Stats | undefined;
  try {
    found = statSync(location, { throwIfNoEntry: false });
  } catch (thrown) {
    throw new Error(
      `the folder ${location} of a tablespace is closed to the database's user (${errno(thrown)})`,
    );
  }
  if (found === undefined) return false;
  if (!found.isDirectory()) throw new Error(`${location} must hold a tablespace, but is not a folder`);
  if (found.uid === process.geteuid?.() && writable(location)) return true;
  throw new Error(
    `the folder ${location} of a tablespace does not belong to the database's user: mount its filesystem if it has one; else, ${making(location)}`,
  );
}

/** Makes the folder where its user may. Throws with what is in the way, and what to do. */
export function makeSpace(location: string): void {
  if (there(location)) return;
  try {
    makeDir(location, 0o700);
    syncDir(dirname(location));
  } catch (thrown) {
    const why = errno(thrown) ?? String(thrown);
    throw new Error(
      `the folder ${location} of a tablespace is missing, and the database's user cannot make it (${why}): ${making(location)}`,
    );
  }
}

/**
 * A folder for a tablespace that the data in `dataDir` may have already. What is neither empty nor this
 * database's is refused.
 */
function lookAt(dataDir: string, location: string): void {
  const dir = resolved(dataDir);
  if (`${resolved(location)}/`.startsWith(`${dir}/`))
    throw new Error(
      `the tablespace in ${location} lies inside the data directory and cannot be copied: on the active, move its tables to pg_default, and drop it`,
    );
  if (!there(location)) return;
  const own = spacesOf(dir).some((space) => space.location === location && ownFolder(dir, space) !== null);
  const foreign = readdirSync(location).filter((name) => !IGNORED.includes(name));
  if (!own && foreign.length > 0)
    throw new Error(
      `${location} must hold a tablespace, but is not empty (${foreign.slice(0, 3).join(', ')}): what is there does not belong to this database; look at it, and move it away`,
    );
}

const locationsOf = (spaces: readonly Space[]): string[] => spaces.map(({ location }) => location);

/**
 * Makes what is missing, and nothing before all of them were looked at. Throws with what is in the way, and
 * what to do.
 */
export function lookAtAll(dataDir: string, spaces: readonly Space[]): void {
  const shared = sharedWith(dataDir, [...locationsOf(spaces), ...locationsOf(spacesOf(dataDir))]);
  if (shared !== null) throw new Error(shared);
  for (const { location } of spaces) lookAt(dataDir, location);
  for (const { location } of spaces) makeSpace(location);
}

/** For a tablespace that replay has come to. Throws with what to do where it cannot be made. */
export function makeForReplay(dataDir: string, location: string): void {
  const shared = sharedWith(dataDir, [location]);
  if (shared !== null) throw new Error(shared);
  makeSpace(location);
}

const stagedFile = (o: PgOptions): string => join(o.confDir, 'tablespaces_staged.json');

/** Takes away what earlier copies, ended at any moment, have left in tablespaces. */
export async function clearStaged(o: PgOptions): Promise<void> {
  const locations = readJson(stagedFile(o), v.array(v.string())) ?? [];
  for (const location of locations) await rm(stagedIn(location), { recursive: true, force: true });
  removeDurably(stagedFile(o));
}

/** Room for copies of these, empty. Written down first: a crash leaves nothing that is not found again. */
export async function stage(o: PgOptions, spaces: readonly Space[]): Promise<void> {
  await clearStaged(o);
  if (spaces.length === 0) return;
  writeJson(stagedFile(o), locationsOf(spaces), PRIVATE);
  for (const { location } of spaces) await rm(stagedIn(location), { recursive: true, force: true });
}

/** The links of a copy name the places where the tablespaces were written; now those where they will be. */
export async function relink(copy: string): Promise<void> {
  const dir = join(copy, 'pg_tblspc');
  for (const { oid, location } of spacesOf(copy)) {
    if (!location.endsWith(`/${STAGED}`)) continue;
    const link = join(dir, oid);
    await symlink(dirname(location), `${link}.new`);
    await rename(`${link}.new`, link);
    syncDir(dir);
  }
}

/**
 * Takes away what the database in `dataDir` has in its tablespaces, and nothing else that is there. One that
 * another server of this machine has too is left alone.
 */
export async function dropSpaces(dataDir: string, onStep: OnStep): Promise<void> {
  for (const space of spacesOf(dataDir)) {
    const own = ownFolder(dataDir, space);
    if (own === null || sharedWith(dataDir, [space.location]) !== null) continue;
    onStep(`drop ${space.location}`);
    await rm(own, { recursive: true, force: true });
    syncDir(space.location);
  }
}

/** Puts what was copied for the database in `dataDir` into its tablespaces. */
export async function placeSpaces(dataDir: string, onStep: OnStep): Promise<void> {
  for (const { location } of spacesOf(dataDir)) {
    const staged = stagedIn(location);
    if (lstatSync(staged, { throwIfNoEntry: false })?.isDirectory() !== true) continue;
    for (const name of await readdir(staged)) {
      onStep(`space ${location}`);
      await rename(join(staged, name), join(location, name));
    }
    await rmdir(staged);
    syncDir(location);
  }
}

/**
 * Before the data directory goes, which alone says what is ours in them. The mark first: without its
 * tablespaces the rest is no database.
 */
export async function wipeSpaces(o: PgOptions, onStep: OnStep = () => {}): Promise<void> {
  await clearStaged(o);
  const dir = resolved(o.dataDir);
  if (spacesOf(dir).length === 0) return;
  makeDir(o.confDir, 0o700);
  onStep('mark');
  setMark(o, 'its tablespaces are removed');
  await dropSpaces(dir, onStep);
}
