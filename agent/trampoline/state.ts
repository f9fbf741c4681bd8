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
import type { Kept } from './root.ts';
import { readTrusted, trustFolder } from './trusted.ts';

/** Not in /etc: that is read-only where the agent's unit is sandboxed, and so for whatever it calls. */
const FOLDER = '/var/lib/cloudify-root';
const FILE = `${FOLDER}/units-taken.json`;

/** What `units take` found, in a folder of root's own. */
export const keptState = (): Kept => ({
  read: () => (existsSync(FILE) ? readTrusted(FILE) : undefined),
  write(text) {
    if (!existsSync(FOLDER)) mkdirSync(FOLDER, { mode: 0o700 });
    trustFolder(FOLDER);
    const draft = `${FILE}.${process.pid}`;
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
      linkSync(draft, FILE);
    } catch (cause) {
      // Another call was first, and what it found is right.
      if (!existsSync(FILE)) throw cause;
    } finally {
      rmSync(draft, { force: true });
    }
  },
  remove() {
    rmSync(FILE, { force: true });
  },
});
