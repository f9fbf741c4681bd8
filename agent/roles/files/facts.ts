/** Reading side: what Syncthing says of itself, and what that means for the node. */
import type { FileFacts, FileMode } from '../../core/ports.ts';
import { failedItems, unsentOf } from './facts_failed.ts';
import type { FilesStatus, FolderStatus, HeldDeletions } from './port.ts';
import { query, type Rest } from './rest.ts';
import type { Stance } from './settings.ts';

type FolderConfig = { id: string; type: string };
type FolderState = {
  state: string;
  error?: string;
  invalid?: string;
  errors: number;
  pullErrors: number;
  receiveOnlyTotalItems: number;
  needBytes: number;
  needTotalItems: number;
  sequence: number;
  version: number;
  globalTotalItems: number;
  globalDeleted: number;
};
type Completion = { needBytes: number; needItems: number; needDeletes: number; globalItems: number };
type Connections = { connections: Record<string, { connected: boolean; startedAt?: string }> };

export type FolderSeen = FolderStatus & {
  /** Changes with every change of what is known of the folder, here or elsewhere. */
  readonly version: number;
  readonly globalItems: number;
};

export type Seen = {
  readonly at: number;
  readonly folders: readonly FolderSeen[];
  /** Device ids. */
  readonly connected: ReadonlySet<string>;
};

const MODES: Readonly<Record<string, FileMode>> = { sendonly: 'sendonly', receiveonly: 'receiveonly' };

/** One look at everything. Throws when Syncthing does not answer. */
export async function observe(rest: Rest, ids: readonly string[], ms: number): Promise<Seen> {
  const [configs, { connections }, ...states] = await Promise.all([
    rest.get('config/folders', ms) as Promise<FolderConfig[]>,
    rest.get('system/connections', ms) as Promise<Connections>,
    ...ids.map((folder) =>
      Promise.all([
        rest.get(query('db/status', { folder }), ms) as Promise<FolderState>,
        // Its own word on itself counts deletions that are held; db/status leaves them out.
        rest.get(query('db/completion', { folder }), ms) as Promise<Completion>,
      ]),
    ),
  ]);
  const errorsOf = (index: number) =>
    Math.max(states[index]?.[0].errors ?? 0, states[index]?.[0].pullErrors ?? 0);
  const failed = await Promise.all(
    ids.map((id, index) => (errorsOf(index) > 0 ? failedItems(rest, id, ms) : undefined)),
  );
  const folders = ids.map((id, index): FolderSeen => {
    const [state, own] = states[index] ?? [];
    if (state === undefined || own === undefined) throw new Error(`there is no state for folder ${id}`);
    return {
      id,
      mode: MODES[configs.find((folder) => folder.id === id)?.type ?? ''] ?? 'unknown',
      state: state.state,
      needItems: own.needItems,
      needBytes: own.needBytes,
      needDeletes: own.needDeletes,
      localChanges: state.receiveOnlyTotalItems ?? 0,
      errors: errorsOf(index),
      error: state.error || state.invalid || null,
      version: state.version + state.sequence,
      globalItems: own.globalItems,
      ...(failed[index] === undefined ? {} : { failed: failed[index] }),
    };
  });
  const connected = Object.entries(connections).filter(([, one]) => one.connected);
  return { at: performance.now(), folders, connected: new Set(connected.map(([id]) => id)) };
}

/** More than this without an answer, and nothing is known any more, ms. */
export const STALE = 30_000;

export type Judged = {
  readonly seen: Seen | null;
  readonly silent: string | null;
  readonly stance: Stance | null;
  /** Has the node that is followed told what it has? */
  readonly heard: boolean;
  readonly connected: boolean | null;
  readonly held: readonly HeldDeletions[];
  /** A former active that is still archiving, or local changes that do not go away. */
  readonly busy: boolean;
  readonly stuck: number;
  readonly notes: readonly string[];
};

const sum = (folders: readonly FolderSeen[], of: (folder: FolderSeen) => number): number =>
  folders.reduce((total, folder) => total + of(folder), 0);

export function modeOf(folders: readonly FolderStatus[]): FileMode {
  const first = folders[0]?.mode ?? 'unknown';
  return folders.every(({ mode }) => mode === first) ? first : 'unknown';
}

export function factsOf({ seen, silent, heard, held, busy, stuck }: Judged, now: number): FileFacts {
  if (seen === null || (silent !== null && now - seen.at > STALE))
    return { state: 'unknown', needItems: 0, needBytes: 0, errors: 0, mode: 'unknown' };
  const { folders } = seen;
  const mode = modeOf(folders);
  const broken = folders.filter((folder) => folder.error !== null).length;
  const counts = {
    // Deletions are carried out a little later and lack nothing; held ones wait for a word, and somebody must
    // see it.
    needItems:
      sum(folders, ({ needItems }) => needItems) +
      held.reduce((total, { deletions }) => total + deletions, 0),
    needBytes: sum(folders, ({ needBytes }) => needBytes),
    errors: sum(folders, ({ errors }) => errors) + broken + stuck,
    mode,
  };
  if (mode === 'sendonly') {
    const unsent = unsentOf(folders);
    const state = broken > 0 || unsent !== undefined ? 'behind' : 'complete';
    if (unsent === undefined) return { ...counts, state };
    return { ...counts, needItems: counts.needItems + unsent.items, state, unsent: unsent.words };
  }
  if (!heard) return { ...counts, state: busy ? 'behind' : 'unknown' };
  const lacks = counts.needItems > 0 || counts.needBytes > 0 || counts.errors > 0 || held.length > 0 || busy;
  return { ...counts, state: lacks ? 'behind' : 'complete' };
}

export function statusOf({ seen, silent, connected, held, notes }: Judged): FilesStatus {
  const folders = (seen?.folders ?? []).map(({ version: _v, globalItems: _g, ...folder }) => folder);
  return { silent, seenAt: seen?.at ?? null, connected, folders, held, notes };
}
