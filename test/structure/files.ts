import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export const root = dirname(dirname(import.meta.dirname));

/**
 * The TypeScript files under a folder of the repository, as paths from its top, sorted. That it exists,
 * layout.test.ts says.
 */
export function sources(folder: string): string[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${folder}/${name}`)
    .sort();
}

export function text(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

/** The text without its comments, line for line: what a search for names should look at. */
export function code(path: string): string {
  return text(path).replaceAll(
    /\/\*[\s\S]*?\*\/|(['"])(?:\\.|(?!\1)[^\\\n])*\1|\/\/[^\n]*/g,
    (match, quote: string | undefined) => (quote ? match : match.replaceAll(/[^\n]/g, ' ')),
  );
}
