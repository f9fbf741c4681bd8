/**
 * Copies of what a revert or the new active's override is about to replace (CONTRACTS 12), and reports of
 * what never came.
 */
import { createHash } from 'node:crypto';
import { constants, existsSync } from 'node:fs';
import {
  chmod,
  copyFile,
  lstat,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  statfs,
  symlink,
  utimes,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { NodeConfig } from '../../config/index.ts';
import { AgentError } from '../../errors.ts';
import { errno, makeDir, PRIVATE, syncDir, writeDurably } from '../../platform/files.ts';
import { fingerprint } from '../../platform/fingerprint.ts';
import type { Item } from './items.ts';

export type ArchiveRequest = { items: readonly Item[]; reason: string; epoch: number; copy: boolean };

type Saved = {
  folder: string;
  path: string;
  type: Item['type'];
  /**
   * archived; deleted: there is nothing to copy; missing: it never came here, or is gone; unreadable: kept in
   * .stversions.
   */
  state: 'archived' | 'deleted' | 'missing' | 'unreadable';
  bytes: number;
  modified: string;
  mode?: string;
  sha256?: string;
  target?: string;
};

/**
 * Resolves with the folder below diverged_dir. The same items with the same content are saved once. Throws
 * when it cannot: then nothing may be reverted.
 */
export async function archive(config: NodeConfig, request: ArchiveRequest): Promise<string> {
  const { diverged_dir } = config.paths;
  const { items, reason, epoch } = request;
  const key = keyOf(items, reason);
  const before = await savedBefore(diverged_dir, key);
  if (before !== null) return before;
  makeDir(diverged_dir);
  if (request.copy) await checkSpace(diverged_dir, items);
  const time = new Date().toISOString();
  const name = `${time.replace(/[-:]|\.\d+/g, '')}-${config.node_name}-${epoch}`;
  const dir = await freeName(join(diverged_dir, name));
  const partial = `${dir}.partial`;
  try {
    makeDir(partial);
    const files: Saved[] = [];
    for (const item of [...items].sort((a, b) => (a.path < b.path ? -1 : 1))) {
      const root = config.files.folders.find(({ id }) => id === item.folder)?.path;
      if (root === undefined || !isInside(item.path)) continue;
      files.push(await saved(item, root, join(partial, 'files', item.folder), request.copy));
    }
    const manifest = {
      schema: 1,
      key,
      node: config.node_name,
      epoch,
      reason,
      time,
      folders: Object.fromEntries(config.files.folders.map(({ id, path }) => [id, path])),
      files,
    };
    writeDurably(join(partial, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`, PRIVATE);
    await rename(partial, dir);
    syncDir(diverged_dir);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
  return dir;
}

/** Names come from other nodes: none may lead out of the folder. */
const isInside = (path: string): boolean =>
  path !== '' && !path.startsWith('/') && !path.split('/').includes('..');

async function saved(item: Item, root: string, to: string, copy: boolean): Promise<Saved> {
  const { folder, path, type, bytes, modified } = item;
  const entry = { folder, path, type, bytes, modified };
  if (item.deleted) return { ...entry, state: 'deleted' };
  if (!copy) return { ...entry, state: 'missing' };
  const from = join(root, path);
  const into = join(to, path);
  try {
    const found = await lstat(from);
    const mode = (found.mode & 0o7777).toString(8).padStart(4, '0');
    if (found.isDirectory()) {
      makeDir(into);
      return { ...entry, type: 'directory', state: 'archived', mode };
    }
    makeDir(dirname(into));
    if (found.isSymbolicLink()) {
      const target = await readlink(from);
      await symlink(target, into);
      return { ...entry, type: 'symlink', state: 'archived', target };
    }
    await copyFile(from, into, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
    await chmod(into, (found.mode & 0o777) | 0o400);
    await utimes(into, found.atime, found.mtime);
    return { ...entry, type: 'file', state: 'archived', mode, ...(await fingerprint(into)) };
  } catch (thrown) {
    const code = errno(thrown);
    if (code === 'ENOENT' || code === 'ENOTDIR') return { ...entry, state: 'missing' };
    if (code === 'EACCES' || code === 'EPERM') return { ...entry, state: 'unreadable' };
    throw thrown;
  }
}

const keyOf = (items: readonly Item[], reason: string): string => {
  const lines = items.map(({ folder, path, deleted, bytes, modified }) =>
    [folder, path, deleted, bytes, modified].join('\0'),
  );
  return createHash('sha256')
    .update([reason, ...lines.sort()].join('\n'))
    .digest('hex')
    .slice(0, 16);
};

async function savedBefore(dir: string, key: string): Promise<string | null> {
  if (!existsSync(dir)) return null;
  for (const name of await readdir(dir)) {
    if (name.endsWith('.partial')) continue;
    const text = await readFile(join(dir, name, 'manifest.json'), 'utf8').catch(() => '');
    if (text.includes(`"key": "${key}"`)) return join(dir, name);
  }
  return null;
}

async function freeName(dir: string): Promise<string> {
  for (let n = 1; ; n++) {
    const name = n === 1 ? dir : `${dir}-${n}`;
    if (!existsSync(name) && !existsSync(`${name}.partial`)) return name;
    if (n === 1) await rm(`${name}.partial`, { recursive: true, force: true });
  }
}

/** What must stay free beside the copies. */
const RESERVE = 64 * 1024 * 1024;

async function checkSpace(dir: string, items: readonly Item[]): Promise<void> {
  const needed = items.reduce((total, { bytes, deleted }) => total + (deleted ? 0 : bytes), 0);
  const { bavail, bsize } = await statfs(dir);
  if (needed + RESERVE <= bavail * bsize) return;
  throw new AgentError({
    class: 'operator',
    code: 'no_space_for_archive',
    message: `${needed} bytes of diverged files do not fit into ${dir}: nothing is reverted`,
    hint: 'make room, or move older archives away',
  });
}
