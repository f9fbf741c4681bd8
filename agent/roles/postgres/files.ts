/** Files that must survive a power cut: written beside, flushed, renamed, and the folder flushed. */
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Replace `path` with `text` atomically and durably. Left alone when it holds just that. */
export async function writeDurably(path: string, text: string, mode = 0o600): Promise<void> {
  if ((await readText(path)) === text) return;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const beside = `${path}.new`;
  const file = await open(beside, 'w', mode);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(beside, path);
  await syncFolder(dirname(path));
}

/** Remove `path` durably. Nothing happens when it is not there. */
export async function removeDurably(path: string): Promise<void> {
  if (!existsSync(path)) return;
  await rm(path, { force: true });
  await syncFolder(dirname(path));
}

/** The text of a file; null when there is none. Other errors are thrown. */
export async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
