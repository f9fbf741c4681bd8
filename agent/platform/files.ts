import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import * as v from 'valibot';
import { AgentError } from '../errors.ts';

export const PRIVATE = 0o600;
export const GROUP_READABLE = 0o640;

/** The `code` of a system error, like ENOENT. */
export const errno = (thrown: unknown): string | undefined =>
  thrown instanceof Error && 'code' in thrown ? String(thrown.code) : undefined;

function writeAll(fd: number, content: string | Uint8Array): void {
  const data = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  let done = 0;
  while (done < data.length) done += writeSync(fd, data, done, data.length - done);
}

/**
 * Replaces a file in one step, but leaves it to the kernel when it reaches the disk: for what a reboot voids
 * anyway.
 */
export function writeAtomically(path: string, content: string | Uint8Array, mode = GROUP_READABLE): void {
  replace(path, content, mode, false);
}

/** Makes renames and removals in a folder durable. */
export function syncDir(dir: string): void {
  const fd = openSync(dir, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * Replaces a file so that, whatever happens, either the old or the new content is there, and the new once
 * this returns, also after a power cut. Synchronous on purpose: what follows may depend on it (a vote, a
 * clone id).
 */
export function writeDurably(path: string, content: string | Uint8Array, mode = GROUP_READABLE): void {
  replace(path, content, mode, true);
  syncDir(dirname(path));
}

function replace(path: string, content: string | Uint8Array, mode: number, durable: boolean): void {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    const fd = openSync(temporary, 'wx', mode);
    try {
      fchmodSync(fd, mode);
      writeAll(fd, content);
      if (durable) fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (cause) {
    rmSync(temporary, { force: true });
    throw new AgentError({
      class: 'transient',
      code: 'file_not_written',
      message: `cannot write ${path}`,
      hint: 'check that its folder exists, belongs to the agent and has free space',
      cause,
    });
  }
}

/** Undefined: it is not there, or not for this user to read. For what is only looked at. */
export function readIfPossible(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

export const writeJson = (path: string, value: unknown, mode = GROUP_READABLE): void =>
  writeDurably(path, `${JSON.stringify(value, null, 2)}\n`, mode);

/**
 * Reads a JSON file: undefined when there is none. Throws `file_damaged` (operator) when it is not what
 * `schema` says: a state that cannot be read is unknown, and must not pass for absent.
 */
export function readJson<S extends v.GenericSchema>(path: string, schema: S): v.InferOutput<S> | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    if (errno(cause) === 'ENOENT') return undefined;
    throw new AgentError({
      class: 'operator',
      code: 'file_unreadable',
      message: `cannot read ${path}`,
      cause,
    });
  }
  try {
    return v.parse(schema, JSON.parse(text));
  } catch (cause) {
    throw new AgentError({
      class: 'operator',
      code: 'file_damaged',
      message: `${path} does not contain what it should`,
      hint: 'move it away if the state it records may be lost',
      cause,
    });
  }
}

/** Removes a file durably; no error when there is none. */
export function removeDurably(path: string): void {
  try {
    rmSync(path);
  } catch (cause) {
    if (errno(cause) === 'ENOENT') return;
    throw new AgentError({
      class: 'transient',
      code: 'file_not_removed',
      message: `cannot remove ${path}`,
      cause,
    });
  }
  syncDir(dirname(path));
}

/**
 * Makes a folder, and those above that are missing. Their mode is this one whatever the umask; what is there
 * already keeps its own.
 */
export function makeDir(path: string, mode = 0o750): void {
  const first = mkdirSync(path, { recursive: true, mode });
  if (first === undefined) return;
  for (let made = resolve(path); made.length >= resolve(first).length; made = dirname(made)) {
    const got = statSync(made).mode;
    // Only where the umask took something: to who is not in a folder's group, a chmod costs the bit by which
    // it gives that on.
    if ((got & 0o777) !== mode) chmodSync(made, mode | (got & 0o2000));
  }
}

/**
 * Opens a file to write at its end. A new one has this mode whatever the umask; one that is there keeps its
 * own.
 */
export function openToAppend(path: string, mode: number): number {
  try {
    const made = openSync(path, 'ax', mode);
    fchmodSync(made, mode);
    return made;
  } catch (cause) {
    if (errno(cause) !== 'EEXIST') throw cause;
    return openSync(path, 'a', mode);
  }
}
