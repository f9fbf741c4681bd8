/**
 * Tablespaces outside the data directory: `pg_tblspc/OID` is a link to a folder, and in that the server has
 * one of its own, named after its version (`PG_15_202209061`). That one alone is this database's: what lies
 * beside it is somebody else's. In-place tablespaces are no links but folders, and part of the data
 * directory.
 */
import {
  closeSync,
  type Dirent,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  type Stats,
  statSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { readIfPossible } from '../../platform/files.ts';
import { allPids, readStat } from '../../platform/procfs.ts';
import { resolved } from './place.ts';

/** `location`: absolute, as the link has it. */
export type Space = { readonly oid: string; readonly location: string };

const links = (dataDir: string): string => join(dataDir, 'pg_tblspc');

function entries(dataDir: string): Dirent[] {
  try {
    return readdirSync(links(dataDir), { withFileTypes: true });
  } catch {
    return []; // no database, or none yet
  }
}

export function spacesOf(dataDir: string): Space[] {
  return entries(dataDir)
    .filter((entry) => entry.isSymbolicLink())
    .sort((a, b) => Number(a.name) - Number(b.name))
    .map(({ name }) => ({
      oid: name,
      location: resolve(links(dataDir), readlinkSync(join(links(dataDir), name))),
    }));
}

/** Neither a link nor a folder: nothing that a server made. */
export const oddEntries = (dataDir: string): string[] =>
  entries(dataDir)
    .filter((entry) => !entry.isSymbolicLink() && !entry.isDirectory())
    .map(({ name }) => join(links(dataDir), name));

/** With in-place ones the server does not end its recovery unless it is told that they are meant. */
export const inPlaceSetting = (dataDir: string): Record<string, string> =>
  entries(dataDir).some((entry) => entry.isDirectory()) ? { allow_in_place_tablespaces: 'on' } : {};

/** What the server of this data calls its folder in each tablespace; null where the data does not tell. */
export function versionFolder(dataDir: string): string | null {
  const major = Number.parseInt(readIfPossible(join(dataDir, 'PG_VERSION')) ?? '', 10);
  if (Number.isNaN(major)) return null;
  try {
    const file = openSync(join(dataDir, 'global', 'pg_control'), 'r');
    try {
      // catalog_version_no has not changed its place from 13 to 18.
      const bytes = new Uint8Array(4);
      if (readSync(file, bytes, 0, 4, 12) < 4) return null;
      return `PG_${major}_${new DataView(bytes.buffer).getUint32(0, true)}`;
    } finally {
      closeSync(file);
    }
  } catch {
    return null;
  }
}

/** The folder of this database in a tablespace that its data directory names; null where there is none. */
export function ownFolder(dataDir: string, { location }: Space): string | null {
  const version = versionFolder(dataDir);
  if (version === null) return null;
  const path = join(location, version);
  // Never by a link: it would be somebody else's folder.
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true ? path : null;
}

function at(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/**
 * A running server of this machine, as far as this user may see, that has one of these folders for a
 * tablespace, too. Compared by what the folder is and not by its name, which may be another one's in another
 * mount namespace.
 */
export function sharedWith(dataDir: string, locations: readonly string[]): string | null {
  if (locations.length === 0) return null;
  const own = resolved(dataDir);
  const version = versionFolder(dataDir);
  const same = locations.flatMap((location) => at(location) ?? []);
  const seen = new Set([own]);
  for (const pid of allPids()) {
    if (!/^post(gres|master)$/.test(readStat(pid)?.command ?? '')) continue;
    try {
      const dir = readlinkSync(`/proc/${pid}/cwd`);
      if (seen.has(dir) || dir.startsWith(`${own} (`)) continue;
      seen.add(dir);
      // Of another version it has a folder of its own in there.
      const other = versionFolder(`/proc/${pid}/cwd`);
      if (version !== null && other !== null && version !== other) continue;
      for (const { location } of spacesOf(`/proc/${pid}/cwd`)) {
        const there = at(join(`/proc/${pid}/root`, location));
        if (there !== undefined && same.some(({ dev, ino }) => dev === there.dev && ino === there.ino))
          return `${location} is a tablespace of another server on this machine, ${dir}: two servers in one folder damage each other's tables`;
      }
    } catch {
      // another user's, or gone
    }
  }
  return null;
}

/**
 * Why no server may be started on this data; null: nothing. Without its filesystem a tablespace would look
 * empty, and replay would write new files below the mount point.
 */
export function whyNotToStart(dataDir: string): string | null {
  const spaces = spacesOf(dataDir);
  for (const space of spaces) {
    if (ownFolder(dataDir, space) !== null) continue;
    const link = join(links(dataDir), space.oid);
    return `the tablespace in ${space.location} is not there (${link} names it, and it has no ${versionFolder(dataDir)}): mount its filesystem; if it was just being dropped, remove that link`;
  }
  return sharedWith(
    dataDir,
    spaces.map(({ location }) => location),
  );
}
