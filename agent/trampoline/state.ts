import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  rmSync,
  writeSync,
} from 'node:fs';
import process from 'node:process';
import { ROOT_STATE_DIR, UNITS_TAKEN_FILE } from './names.ts';
import type { Kept } from './root.ts';
import { readTrusted, trustFolder } from './trusted.ts';

/** What `units take` found, in a folder of root's own. */
export const keptState = (): Kept => ({
  read: () => (existsSync(UNITS_TAKEN_FILE) ? readTrusted(UNITS_TAKEN_FILE) : undefined),
  write(text) {
    if (!existsSync(ROOT_STATE_DIR)) mkdirSync(ROOT_STATE_DIR, { mode: 0o700 });
    trustFolder(ROOT_STATE_DIR);
    const draft = `${UNITS_TAKEN_FILE}.${process.pid}`;
    rmSync(draft, { force: true });
    const fd = openSync(
      draft,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
      0o600,
    );
    try {
      writeSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    try {
      linkSync(draft, UNITS_TAKEN_FILE);
    } catch (cause) {
      // Another call was first, and what it found is right.
      if (!existsSync(UNITS_TAKEN_FILE)) throw cause;
    } finally {
      rmSync(draft, { force: true });
    }
  },
  remove() {
    rmSync(UNITS_TAKEN_FILE, { force: true });
  },
});
