/** The deadline that runs, for the next process after this one: a file on a tmpfs, so that no boot finds an old one. */
import { readFileSync, rmSync } from 'node:fs';
import { errno, PRIVATE, writeAtomically } from '../platform/files.ts';

export interface Marker {
  /** null: nothing is open. 0 when there is one that cannot be read: then it has passed. */
  read(): number | null;
  write(deadline: number | null): void;
}

export function deadlineMarker(path: string): Marker {
  return {
    read() {
      try {
        const deadline = Number(readFileSync(path, 'utf8').trim());
        return Number.isFinite(deadline) ? deadline : 0;
      } catch (thrown) {
        return errno(thrown) === 'ENOENT' ? null : 0;
      }
    },
    write(deadline) {
      if (deadline === null) rmSync(path, { force: true });
      else writeAtomically(path, `${deadline.toFixed(2)}\n`, PRIVATE);
    },
  };
}
