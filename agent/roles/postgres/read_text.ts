import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errno } from '../../platform/files.ts';
import { majorIn } from '../../platform/paths.ts';

/**
 * The text of a file; null when there is none. Other errors are thrown: what cannot be read is not absent.
 */
export async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errno(error) === 'ENOENT' || errno(error) === 'ENOTDIR') return null;
    throw error;
  }
}

/**
 * The version of the data, read without standing still meanwhile (`dataVersion` does); null where there is
 * none.
 */
export const majorOf = async (dataDir: string): Promise<number | null> =>
  majorIn(await readText(join(dataDir, 'PG_VERSION'))) ?? null;
