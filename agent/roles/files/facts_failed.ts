/**
 * Items that Syncthing gave up on. On an active these are what nobody else will ever get: a name that is no
 * UTF-8 or not in its composed form, a file that its user may not read. It counts them among no other's
 * needs, so they are looked at apart.
 */
import type { FailedItem, FolderStatus } from './port.ts';
import { query, type Rest } from './rest.ts';

/** So many are asked for, and so many of them are named. */
const ASKED = 20;
const NAMED = 3;
/** A name may be 4 KB long. */
const LONGEST = 120;

export async function failedItems(rest: Rest, folder: string, ms: number): Promise<FailedItem[]> {
  const path = query('folder/errors', { folder, page: 1, perpage: ASKED });
  const { errors } = (await rest.get(path, ms)) as { errors?: FailedItem[] | null };
  return (errors ?? []).slice(0, ASKED).map(({ path, error }) => ({ path: `${path}`, error: `${error}` }));
}

const shown = (text: string): string => {
  const plain = text.replaceAll(/\p{Cc}/gu, '?');
  return plain.length > LONGEST ? `${plain.slice(0, LONGEST)}...` : plain;
};

/** 'a/b (why)', the first few of them. */
export function itemsInWords(items: readonly FailedItem[], of = items.length): string {
  const first = items.slice(0, NAMED).map(({ path, error }) => `'${shown(path)}' (${shown(error)})`);
  return `${first.join(', ')}${of > first.length ? ` and ${of - first.length} more` : ''}`;
}

/** What an active cannot send; undefined: nothing. */
export function unsentOf(folders: readonly FolderStatus[]): { items: number; words: string } | undefined {
  const items = folders.reduce((total, { errors }) => total + errors, 0);
  if (items === 0) return undefined;
  const failed = folders.flatMap(({ id, failed = [] }) =>
    failed.map(({ path, error }) => ({ path: `${id}/${path}`, error })),
  );
  const words = `${items} ${items === 1 ? 'item' : 'items'}: ${itemsInWords(failed, items)}`;
  return { items, words: `${words}; rename them, or leave them out (files.folders.ignore)` };
}
