import { posix } from 'node:path';
import { code, sources } from './files.ts';

export type Import = {
  from: string;
  /** A path from the top of the repository, or the specifier itself for packages and `node:`. */
  to: string;
  /** Only types: gone at run time. */
  typeOnly: boolean;
  /** Loaded when that line is reached, not before the file runs. */
  late?: true;
};

const statement = /\b(import|export)\s+(type\s+)?(?:[^'";]*?\bfrom\s*)?(['"])([^'"\n]+)\3/g;
const dynamic = /\b(typeof\s+)?import\s*\(\s*(['"])([^'"\n]+)\2/g;

function resolve(from: string, specifier: string): string {
  return specifier.startsWith('.') ? posix.join(posix.dirname(from), specifier) : specifier;
}

export function importsOf(from: string, content: string = code(from)): Import[] {
  const found: Import[] = [];
  for (const [, , type, , specifier = ''] of content.matchAll(statement)) {
    found.push({ from, to: resolve(from, specifier), typeOnly: type !== undefined });
  }
  for (const [, type, , specifier = ''] of content.matchAll(dynamic)) {
    found.push({ from, to: resolve(from, specifier), typeOnly: type !== undefined, late: true });
  }
  return found;
}

export function allImports(...folders: string[]): Import[] {
  return folders.flatMap((folder) => sources(folder)).flatMap((file) => importsOf(file));
}
