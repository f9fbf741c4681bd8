/**
 * The deadline that runs, for the next process after this one: a file on a tmpfs, so that no boot finds an
 * old one.
 */
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { errno, PRIVATE } from '../platform/files.ts';

export interface Marker {
  /** null: nothing is open. 0 when there is one that cannot be read: then it has passed. */
  read(): number | null;
  write(deadline: number | null): void;
}

/** Digits of every deadline: one is written over the other in one call, so there is always a whole one. */
const WIDTH = 16;

export function deadlineMarker(path: string): Marker {
  let fd: number | null = null;
  return {
    read() {
      try {
        const text = readFileSync(path, 'utf8').trim();
        const deadline = text === '' ? Number.NaN : Number(text);
        return Number.isFinite(deadline) ? deadline : 0;
      } catch (thrown) {
        return errno(thrown) === 'ENOENT' ? null : 0;
      }
    },
    write(deadline) {
      if (deadline !== null) {
        fd ??= openSync(path, 'w', PRIVATE);
        writeSync(fd, `${deadline.toFixed(2).padStart(WIDTH)}\n`, 0);
        return;
      }
      if (fd !== null) closeSync(fd);
      fd = null;
      rmSync(path, { force: true });
    },
  };
}
