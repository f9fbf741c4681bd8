/**
 * Is there room for a copy? Looked at before it is made, and once more when pg_basebackup says how large it
 * is.
 */
import { rmSync, statfsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { run, runOk } from '../../platform/process.ts';
import type { PgOptions } from './options.ts';
import type { Place } from './place.ts';
import type { Space } from './tablespaces.ts';
import { toolEnv } from './tools.ts';

/** A walk over the files, by what the replication role may call. */
const databases = `select coalesce(sum((pg_stat_file(f, true)).size), 0) from (
    select 'base/' || d || '/' || n as f from pg_ls_dir('base', true, false) d, lateral pg_ls_dir('base/' || d, true, false) n
  ) files`;
const WALK = 60_000;

/**
 * Bytes of the source's databases, without their WAL. 0 where it does not say: then the copy itself shows it.
 */
export async function sourceBytes(o: PgOptions, source: string, signal: AbortSignal): Promise<number> {
  const args = ['--no-psqlrc', '--no-password', '-A', '-t', '-q', '-c', databases, source];
  const asked = await run(join(o.binDir, 'psql'), args, { deadline: WALK, signal, env: toolEnv(o) }).catch(
    () => undefined,
  );
  const bytes = Number(asked?.code === 0 ? asked.stdout.trim() : Number.NaN);
  return Number.isFinite(bytes) ? bytes : 0;
}

/** A tablespace of the source outside its data directory. */
export type SourceSpace = Space & { readonly bytes: number };

/**
 * By their links, as pg_basebackup sees them: replay may leave one that the catalog has no more. In-place
 * ones have no place of their own.
 */
const tablespaces = `select coalesce(json_agg(json_build_object('oid', oid, 'location', location, 'bytes',
    (select coalesce(sum((pg_stat_file(f, true)).size), 0) from (
      select v.path || '/' || d || '/' || n as f
        from (select 'pg_tblspc/' || oid || '/' || name as path from pg_ls_dir('pg_tblspc/' || oid, true, false) name where name like 'PG\\_%') v,
          lateral pg_ls_dir(v.path, true, false) d, lateral pg_ls_dir(v.path || '/' || d, true, false) n) files))), '[]')
  from (select oid, pg_tablespace_location(oid::oid) as location from pg_ls_dir('pg_tblspc', true, false) oid where oid ~ '^[0-9]+$') s where location like '/%'`;

const spaceSchema = v.array(v.object({ oid: v.string(), location: v.string(), bytes: v.number() }));

/** Throws where the source does not say: a copy without them would go to places that nobody has looked at. */
export async function sourceSpaces(
  o: PgOptions,
  source: string,
  signal: AbortSignal,
): Promise<SourceSpace[]> {
  const args = ['--no-psqlrc', '--no-password', '-A', '-t', '-q', '-c', tablespaces, source];
  const { stdout } = await runOk(join(o.binDir, 'psql'), args, { deadline: WALK, signal, env: toolEnv(o) });
  return v.parse(spaceSchema, JSON.parse(stdout));
}

export const megabytes = (bytes: number): string => `${Math.ceil(bytes / 1e6)} MB`;

export type Room = {
  /** Aborted, with the reason, once it is known to be too little. */
  readonly tooLittle: AbortSignal;
  /**
   * The data directory alone takes so many bytes. What an earlier copy replaced is removed where that is in
   * the way.
   */
  needs(bytes: number): void;
  /** The copy takes so many bytes in all, its tablespaces too. */
  needsAltogether(bytes: number): void;
};

const total = (spaces: readonly SourceSpace[]): number => spaces.reduce((sum, { bytes }) => sum + bytes, 0);

function freeAt(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

/** Each filesystem must have room for what comes there: of the data directory, and of tablespaces. */
export function createRoom(
  { copy, replaced, inside, dir }: Place,
  spaces: readonly SourceSpace[] = [],
): Room {
  const controller = new AbortController();
  const refuse = (bytes: number, where: string, room: number): void => {
    const why = `the copy takes ${megabytes(bytes)} and ${where} has ${megabytes(room)} free`;
    controller.abort(new Error(`${why}: make room there (what it replaces stays until it is complete)`));
  };
  const device = statSync(dirname(copy)).dev;
  const devices = new Map<number, SourceSpace[]>();
  for (const space of spaces) {
    const { dev } = statSync(space.location);
    devices.set(dev, [...(devices.get(dev) ?? []), space]);
  }
  const beside = total(devices.get(device) ?? []);
  for (const [dev, there] of devices) {
    const [{ location } = { location: '' }] = there;
    if (dev !== device && total(there) > freeAt(location)) refuse(total(there), location, freeAt(location));
  }
  let room = freeAt(dirname(copy));
  const needs = (data: number): void => {
    const bytes = data + beside;
    if (bytes <= room || controller.signal.aborted) return;
    if (!inside) {
      const before = freeAt(dirname(copy));
      rmSync(replaced, { recursive: true, force: true });
      room += Math.max(0, freeAt(dirname(copy)) - before);
    }
    if (bytes > room) refuse(bytes, inside ? dir : dirname(dir), room);
  };
  return { tooLittle: controller.signal, needs, needsAltogether: (bytes) => needs(bytes - total(spaces)) };
}
