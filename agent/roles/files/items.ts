/** Lists of single files as Syncthing knows them. */
import { query, type Rest } from './rest.ts';

export type Item = {
  readonly folder: string;
  /** Relative to the folder, with slashes. */
  readonly path: string;
  readonly type: 'file' | 'directory' | 'symlink';
  readonly deleted: boolean;
  readonly bytes: number;
  readonly modified: string;
};

type FileInfo = { name: string; type: string; deleted: boolean; size: number; modified: string };

const TYPES: readonly (readonly [string, Item['type']])[] = [
  ['DIRECTORY', 'directory'],
  ['SYMLINK', 'symlink'],
];

export const itemOf = (folder: string, info: FileInfo): Item => ({
  folder,
  path: info.name,
  type: TYPES.find(([mark]) => info.type.includes(mark))?.[1] ?? 'file',
  deleted: info.deleted,
  bytes: info.type.includes('FILE_TYPE_FILE') || info.type.endsWith('TYPE_FILE') ? info.size : 0,
  modified: info.modified,
});

const PAGE = 5_000;

async function paged(
  rest: Rest,
  path: string,
  folder: string,
  extra: Record<string, string>,
  ms: number,
): Promise<Item[]> {
  const items: Item[] = [];
  for (let page = 1; ; page++) {
    const answer = (await rest.get(query(path, { folder, ...extra, page, perpage: PAGE }), ms)) as Record<
      'files' | 'progress' | 'queued' | 'rest',
      FileInfo[] | null | undefined
    >;
    const found = [answer.files, answer.progress, answer.queued, answer.rest].flatMap((list) => list ?? []);
    items.push(...found.map((info) => itemOf(folder, info)));
    if (found.length < PAGE) return items;
  }
}

/** What was changed in a receive-only folder behind the active's back. */
export const localChanges = (rest: Rest, folder: string, ms: number): Promise<Item[]> =>
  paged(rest, 'db/localchanged', folder, {}, ms);

/** What this node has and `device` lacks, by what that last told; works without a connection. */
export const lackedBy = (rest: Rest, folder: string, device: string, ms: number): Promise<Item[]> =>
  paged(rest, 'db/remoteneed', folder, { device }, ms);

/** What this node lacks. */
export const lackedHere = (rest: Rest, folder: string, ms: number): Promise<Item[]> =>
  paged(rest, 'db/need', folder, {}, ms);
