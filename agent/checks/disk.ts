/** Is there room left where the database and the agent's state lie? */
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Check, type CheckResult, fail, pass } from './port.ts';

/** Bytes free for an ordinary user, on the volume of `path` or, before it exists, of the nearest folder above
 * that the agent's user may look at: on a VM the database's own folder is its own user's. */
async function freeAt(path: string): Promise<number> {
  for (let at = path; ; at = dirname(at)) {
    try {
      const { bavail, bsize } = await statfs(at);
      return bavail * bsize;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      const hidden = code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES';
      if (!hidden || at === dirname(at)) throw error;
    }
  }
}

const megabytes = (bytes: number): string => `${Math.floor(bytes / 1_000_000)} MB`;

/** `folders` by what people call them; `min` in bytes. */
export function disk(folders: Readonly<Record<string, string>>, min: number): Check {
  return {
    name: 'disk',
    async run(): Promise<CheckResult> {
      const short: string[] = [];
      for (const [what, path] of Object.entries(folders))
        if ((await freeAt(path)) < min) short.push(`less than ${megabytes(min)} free for ${what} (${path})`);
      return short.length === 0 ? pass(`at least ${megabytes(min)} free`) : fail(short.join('; '));
    },
  };
}
