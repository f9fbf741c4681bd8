/**
 * Broken cores. A mutation is a small edit of the core's source; the edited copy is written beside the real
 * one's reach, in the machine's temporary folder, and loaded from there. The real files are never touched.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { processes as Processes } from '../../agent/core/processes.ts';
import { coreFrom } from './core.ts';
import type { Core } from './sim_node.ts';

export type Edit = { file: string; find: string; replace: string };

export type BrokenCore = { core: Core; remove(): void };

export async function loadBroken(edits: Edit[]): Promise<BrokenCore> {
  const source = fileURLToPath(new URL('../../agent/core', import.meta.url));
  const folder = mkdtempSync(join(tmpdir(), 'broken-core-'));
  cpSync(source, folder, { recursive: true });
  for (const edit of edits) {
    const path = join(folder, edit.file);
    const text = readFileSync(path, 'utf8');
    const pattern = patternOf(edit.find);
    if (!pattern.test(text)) throw new Error(`${edit.file} has no longer: ${edit.find}`);
    writeFileSync(
      path,
      text.replaceAll(patternOf(edit.find), () => edit.replace),
    );
  }
  const loaded = (await import(pathToFileURL(join(folder, 'processes.ts')).href)) as {
    processes: typeof Processes;
  };
  return { core: coreFrom(loaded.processes), remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** White space, and commas before a closing bracket, are the formatter's business. */
function patternOf(find: string): RegExp {
  const tokens = find.trim().match(/\w+|[^\s\w]/g) ?? [];
  const escaped = tokens.map((t) => t.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  let pattern = '';
  for (const [i, token] of escaped.entries()) {
    const raw = tokens[i] as string;
    const optionalComma = i > 0 && (raw === ')' || raw === '}' || raw === ']') ? ',?\\s*' : '';
    pattern += `${i === 0 ? '' : '\\s*'}${optionalComma}${token}`;
  }
  return new RegExp(pattern, 'g');
}
