import { readFile } from 'node:fs/promises';
import { errno } from '../../platform/files.ts';

/** The text of a file; null when there is none. Other errors are thrown: what cannot be read is not absent. */
export async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errno(error) === 'ENOENT' || errno(error) === 'ENOTDIR') return null;
    throw error;
  }
}
