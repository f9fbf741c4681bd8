/** Every call and every refusal, in a folder that only root can enter. */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { ROOT_LOG_DIR } from './names.ts';
import type { Root } from './root.ts';

const FILE = `${ROOT_LOG_DIR}/trampoline.log`;
/** One old file is kept beside it: a caller in a loop must not fill the disk. */
const LARGEST = 16 * 1024 * 1024;
const LONGEST = 2_000;

/**
 * Writes one line of JSON, so that no argument can pass for a line of its own; refusals go to the system's
 * log as well. A log that cannot be written stops nothing: a full disk must not keep a service from being
 * stopped.
 */
export function note(entry: Readonly<Record<string, unknown>>, run: Root['run']): void {
  const line = JSON.stringify(entry).slice(0, LONGEST);
  const written = append(`${line}\n`);
  if (written && entry.outcome !== 'refused') return;
  run('logger', ['-t', 'sudo_trampoline', '-p', 'authpriv.notice', '--', line], { limit: 2_000 });
}

function append(line: string): boolean {
  try {
    const stats = lstatSync(ROOT_LOG_DIR, { throwIfNoEntry: false });
    if (!stats) mkdirSync(ROOT_LOG_DIR, { mode: 0o700 });
    else if (!stats.isDirectory() || stats.uid !== 0 || (stats.mode & 0o022) !== 0) return false;
    const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
    const fd = openSync(FILE, flags, 0o600);
    try {
      writeSync(fd, line);
      if (fstatSync(fd).size > LARGEST) renameSync(FILE, `${FILE}.1`);
    } finally {
      closeSync(fd);
    }
    return true;
  } catch {
    return false;
  }
}
