/** Is there room for a copy? Looked at before it is made, and once more when pg_basebackup says how large it is. */
import { rmSync, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { run } from '../../platform/process.ts';
import type { PgOptions } from './options.ts';
import type { Place } from './place.ts';
import { toolEnv } from './tools.ts';

/** A walk over the files, by what the replication role may call. */
const databases = `select coalesce(sum((pg_stat_file(f, true)).size), 0) from (
    select 'base/' || d || '/' || n as f from pg_ls_dir('base', true, false) d, lateral pg_ls_dir('base/' || d, true, false) n
  ) files`;
const WALK = 60_000;

/** Bytes of the source's databases, without their WAL. 0 where it does not say: then the copy itself shows it. */
export async function sourceBytes(o: PgOptions, source: string, signal: AbortSignal): Promise<number> {
  const args = ['--no-psqlrc', '--no-password', '-A', '-t', '-q', '-c', databases, source];
  const asked = await run(join(o.binDir, 'psql'), args, { deadline: WALK, signal, env: toolEnv(o) }).catch(
    () => undefined,
  );
  const bytes = Number(asked?.code === 0 ? asked.stdout.trim() : Number.NaN);
  return Number.isFinite(bytes) ? bytes : 0;
}

export const megabytes = (bytes: number): string => `${Math.ceil(bytes / 1e6)} MB`;

export type Room = {
  /** Aborted, with the reason, once it is known to be too little. */
  readonly tooLittle: AbortSignal;
  /** The copy takes so many bytes in all. What an earlier copy replaced is removed where that is in the way. */
  needs(bytes: number): void;
};

export function createRoom({ copy, replaced, inside, dir }: Place): Room {
  const controller = new AbortController();
  const free = (): number => {
    const { bavail, bsize } = statfsSync(dirname(copy));
    return bavail * bsize;
  };
  let room = free();
  return {
    tooLittle: controller.signal,
    needs(bytes) {
      if (bytes <= room || controller.signal.aborted) return;
      if (!inside) {
        const before = free();
        rmSync(replaced, { recursive: true, force: true });
        room += Math.max(0, free() - before);
      }
      if (bytes <= room) return;
      const where = inside ? dir : dirname(dir);
      const why = `the copy takes ${megabytes(bytes)} and ${where} has ${megabytes(room)} free`;
      controller.abort(new Error(`${why}: make room there (what it replaces stays until it is complete)`));
    },
  };
}
