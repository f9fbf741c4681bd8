/**
 * What another node has already replaced or deleted in the cluster's eyes, while it still lies here as it
 * was.
 */
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Item, itemOf, lackedHere } from './items.ts';
import { query, type Rest } from './rest.ts';

type Entry = { name: string; type: string; children?: Entry[] };

/**
 * Of a former active that was still send-only when the new one began: whatever the new one's copy has
 * overruled. More than was lost, as it cannot be told from what the new one changed since. `deletions`:
 * Syncthing counts some that are held.
 */
export async function replaced(
  rest: Rest,
  folder: string,
  root: string,
  deletions: boolean,
  ms: number,
): Promise<Item[]> {
  const items: Item[] = [];
  for (const item of await lackedHere(rest, folder, ms))
    if (!item.deleted && (await exists(join(root, item.path)))) items.push(item);
  return deletions ? [...items, ...(await deletedElsewhere(rest, folder, root, ms))] : items;
}

const exists = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );

/**
 * Syncthing lists no deletions that it ignores, so they are found by what lies here and is not in the
 * cluster's tree.
 */
async function deletedElsewhere(rest: Rest, folder: string, root: string, ms: number): Promise<Item[]> {
  const tree = namesOf((await rest.get(query('db/browse', { folder }), ms)) as Entry[], '');
  const found: Item[] = [];
  for (const path of await namesHere(root, '')) {
    if (tree.has(path)) continue;
    const seen = await fileOf(rest, folder, path, ms);
    if (seen !== null) found.push(seen);
  }
  return found;
}

function namesOf(entries: readonly Entry[], prefix: string, names = new Set<string>()): Set<string> {
  for (const { name, children } of entries) {
    names.add(prefix + name);
    if (children !== undefined) namesOf(children, `${prefix}${name}/`, names);
  }
  return names;
}

async function namesHere(root: string, prefix: string): Promise<string[]> {
  const names: string[] = [];
  const entries = await readdir(join(root, prefix), { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    // Syncthing's own: marker, versions, ignore file.
    if (prefix === '' && /^\.st(folder|versions|ignore)$/.test(entry.name)) continue;
    names.push(prefix + entry.name);
    if (entry.isDirectory()) names.push(...(await namesHere(root, `${prefix}${entry.name}/`)));
  }
  return names;
}

/**
 * This node's entry of a file that is deleted elsewhere; null for an ignored one, or one that nobody deleted.
 */
async function fileOf(rest: Rest, folder: string, file: string, ms: number): Promise<Item | null> {
  const seen = (await rest.get(query('db/file', { folder, file }), ms).catch(() => null)) as {
    global: { deleted: boolean };
    local: Parameters<typeof itemOf>[1];
  } | null;
  if (seen === null || !seen.global.deleted || seen.local.deleted) return null;
  return itemOf(folder, seen.local);
}
