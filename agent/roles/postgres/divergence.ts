/** What a rewind or a clone would throw away is copied first (CONTRACTS 12). */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, copyFile, readdir, readFile, rename, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { defaultSegmentSize, formatLsn, parseHistoryFileName, parseWalFileName } from '../../core/lsn.ts';
import type { Fork, Lsn, Outcome } from '../../core/postgres.ts';
import { GROUP_READABLE, makeDir, syncDir, writeDurably } from '../../platform/files.ts';
import { fingerprint } from '../../platform/fingerprint.ts';
import { readControl } from './control.ts';
import { type Dumps, dumpDatabases, type SavedFile } from './dump.ts';
import { position } from './facts.ts';
import { megabytes } from './room.ts';
import { attempt, DONE, type Server } from './server.ts';

export type DivergenceRequest = { epoch: number; fork: Fork | null; reason: string };

export async function saveDivergence(
  server: Server,
  request: DivergenceRequest,
): Promise<Outcome & { dir?: string }> {
  const { o } = server;
  return await attempt('save the divergence', async () => {
    const control = await readControl(o);
    const at = await position(server, 5000);
    // Asked again after a crash or a failed rewind: the same branch up to the same place is saved already.
    const key = divergenceKey(control.systemId, request, at?.timeline ?? control.timeline, at?.lsn ?? null);
    const saved = await savedBefore(o.divergedDir, key);
    if (saved !== null) return { ...DONE, dir: saved };

    const name = `${new Date().toISOString().replace(/[-:]|\.\d+/g, '')}-${o.node}-${request.epoch}`;
    const dir = join(o.divergedDir, name);
    const partial = `${dir}.partial`;
    makeDir(join(partial, 'wal'));
    try {
      const wal = await copyWal(
        o.dataDir,
        join(partial, 'wal'),
        request.fork,
        at?.lsn ?? null,
        control.segmentSize,
      );
      const dumps: Dumps =
        at === null
          ? { dumped: [], left: 'the server does not answer' }
          : await dumpDatabases(server, partial);
      const manifest = {
        schema: 1,
        key,
        node: o.node,
        epoch: request.epoch,
        reason: request.reason,
        time: new Date().toISOString(),
        system_id: control.systemId,
        timeline: at?.timeline ?? control.timeline,
        lsn: at === null ? null : formatLsn(at.lsn),
        fork: request.fork && { timeline: request.fork.tli, lsn: formatLsn(request.fork.lsn) },
        wal,
        dumps: dumps.dumped,
        ...(dumps.left === undefined ? {} : { not_dumped: dumps.left }),
      };
      // The agent, another user of the folder's group on a VM, lists and exports what is here.
      writeDurably(join(partial, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`, GROUP_READABLE);
      await rename(partial, dir);
      syncDir(o.divergedDir);
    } catch (error) {
      await rm(partial, { recursive: true, force: true });
      throw error;
    }
    return { ...DONE, dir };
  });
}

function divergenceKey(
  systemId: string,
  request: DivergenceRequest,
  timeline: number,
  lsn: Lsn | null,
): string {
  const { fork } = request;
  const parts = [systemId, timeline, lsn ?? '-', fork?.tli ?? '-', fork?.lsn ?? '-'];
  return createHash('sha256').update(parts.join(' ')).digest('hex').slice(0, 16);
}

/** A folder of the same key that has its dumps, or has all it could have. */
async function savedBefore(dir: string, key: string): Promise<string | null> {
  if (!existsSync(dir)) return null;
  for (const name of await readdir(dir)) {
    try {
      const manifest = JSON.parse(await readFile(join(dir, name, 'manifest.json'), 'utf8')) as {
        key?: string;
      };
      if (manifest.key === key && !name.endsWith('.partial')) return join(dir, name);
    } catch {
      // not one of ours, or broken: it does not count as saved
    }
  }
  return null;
}

/**
 * Segments that hold anything from the fork on, of any timeline from the fork's on, up to `end`: those behind
 * it are recycled files with old content. The history files go along.
 */
export function isDiverging(
  file: string,
  fork: Fork | null,
  end: Lsn | null,
  segmentSize = defaultSegmentSize,
): boolean {
  if (parseHistoryFileName(file) !== null) return true;
  const segment = parseWalFileName(file, segmentSize);
  if (segment === null) return false;
  if (end !== null && segment.start >= end) return false;
  if (fork === null) return true;
  return segment.timeline >= fork.tli && segment.start + segmentSize > fork.lsn;
}

async function copyWal(
  dataDir: string,
  to: string,
  fork: Fork | null,
  end: Lsn | null,
  segmentSize: bigint,
): Promise<SavedFile[]> {
  const from = join(dataDir, 'pg_wal');
  const files = (await readdir(from)).sort().filter((file) => isDiverging(file, fork, end, segmentSize));
  await refuseWithoutRoom(
    to,
    files.map((file) => join(from, file)),
  );
  const saved: SavedFile[] = [];
  for (const file of files) {
    await copyFile(join(from, file), join(to, file));
    await chmod(join(to, file), GROUP_READABLE);
    saved.push({ file: `wal/${file}`, ...(await fingerprint(join(to, file))) });
  }
  return saved;
}

/** Half of it would fill the disk and save nothing. */
async function refuseWithoutRoom(to: string, files: readonly string[]): Promise<void> {
  let bytes = 0;
  for (const file of files) bytes += (await stat(file)).size;
  const { bavail, bsize } = await statfs(to);
  if (bytes <= bavail * bsize) return;
  const why = `its WAL takes ${megabytes(bytes)} and ${dirname(dirname(to))} has ${megabytes(bavail * bsize)} free`;
  throw new Error(`${why}: make room there (paths.diverged_dir)`);
}
