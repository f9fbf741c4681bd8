import { closeSync } from 'node:fs';
import { type FileHandle, open, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { GROUP_READABLE, makeDir, openToAppend } from '../platform/files.ts';
import { entryLine } from './entry.ts';
import type { Reporter } from './reporter.ts';

/** Lines kept while the disk does not take them; the oldest go first. */
const PENDING_LIMIT = 10_000;

export interface FileReporter extends Reporter {
  /** Resolves once what was said so far is written, or could not be. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Appends to a file, never blocking: lines wait in memory while a write is under way. The file may be moved
 * away by log rotation (it is made anew), and is moved to NAME.1 by itself once it has `limit` bytes.
 */
export function fileReporter(path: string, limit = Number.POSITIVE_INFINITY): FileReporter {
  let pending: string[] = [];
  let dropped = 0;
  let underWay: Promise<void> | undefined;
  let file: FileHandle | undefined;

  const current = async (): Promise<FileHandle> => {
    if (file) {
      const [held, named] = await Promise.all([file.stat(), stat(path).catch(() => undefined)]);
      const inPlace = named?.ino === held.ino;
      if (inPlace && held.size < limit) return file;
      if (inPlace) await rename(path, `${path}.1`);
      await file.close();
      file = undefined;
    }
    makeDir(dirname(path));
    closeSync(openToAppend(path, GROUP_READABLE));
    file = await open(path, 'a');
    return file;
  };

  const drain = async () => {
    while (pending.length > 0) {
      const lost = dropped === 0 ? [] : [`... ${dropped} lines were lost: the log could not be written ...`];
      const batch = [...lost, ...pending];
      const count = pending.length;
      const target = await current();
      await target.appendFile(`${batch.join('\n')}\n`);
      pending = pending.slice(count);
      dropped = 0;
    }
  };

  const flush = () => {
    underWay ??= drain()
      .catch(() => {})
      .finally(() => {
        underWay = undefined;
      });
    return underWay;
  };

  return {
    flush,
    write(entry) {
      pending.push(entryLine(entry));
      if (pending.length > PENDING_LIMIT && !underWay) {
        dropped += pending.length - PENDING_LIMIT;
        pending = pending.slice(-PENDING_LIMIT);
      } else if (pending.length > PENDING_LIMIT) {
        pending.pop();
        dropped++;
      }
      void flush();
    },
    async close() {
      await flush();
      await file?.close();
      file = undefined;
    },
  };
}
