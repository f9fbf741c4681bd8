/**
 * Are the manager's files replicated: Syncthing answers, every folder can be used, a standby connected and
 * catching up?
 */
import type { FileFacts } from '../core/ports.ts';
import { itemsInWords } from '../roles/files/facts_failed.ts';
import type { FilesStatus, FolderStatus } from '../roles/files/port.ts';
import { type Check, type CheckResult, fail, type NodeRole, pass, warn } from './port.ts';

export interface FilesReader {
  facts(): FileFacts;
  status(): FilesStatus;
}

/**
 * A standby that lacks something must come closer within this time, ms; a large file comes block by block.
 */
const PATIENCE = 60_000;

export interface FilesyncOptions {
  /** The clock of `FilesStatus.seenAt`. */
  readonly now: () => number;
  /** For people. */
  readonly wall: () => Date;
  /** How long a loss of the connection or of an answer is no news, ms. */
  readonly ttl: number;
  readonly role: () => NodeRole;
}

/** What is wrong, and how long that may be so before it counts, ms. */
type Trouble = { readonly what: string; readonly because: string; readonly grace: number };

export function filesync(files: FilesReader, { now, wall, ttl, role }: FilesyncOptions): Check {
  /** What is lacking was never less than this, since then. */
  let least = { items: 0, bytes: 0, at: now() };
  let trouble: { what: string; at: number } | null = null;
  let told = { at: Number.NaN, since: '' };

  const stalled = ({ needItems, needBytes }: FileFacts): boolean => {
    const closer = needItems < least.items || needBytes < least.bytes || needItems + needBytes === 0;
    if (closer || least.items + least.bytes === 0) least = { items: needItems, bytes: needBytes, at: now() };
    return now() - least.at > PATIENCE;
  };

  /** The same words as long as it lasts: two clocks never keep quite the same distance. */
  const failSince = (what: string, at: number): CheckResult => {
    if (told.at !== at)
      told = { at, since: `${new Date(wall().getTime() - (now() - at)).toISOString().slice(0, 19)}Z` };
    return fail(`${what}, since ${told.since}`);
  };

  /** null: nothing, or not for long enough. */
  const lasting = (found: Trouble | null): CheckResult | null => {
    if (found === null) {
      trouble = null;
      return null;
    }
    if (trouble?.what !== found.what) trouble = { what: found.what, at: now() };
    return now() - trouble.at > found.grace ? failSince(`${found.what}${found.because}`, trouble.at) : null;
  };

  return {
    name: 'filesync',
    async run(): Promise<CheckResult> {
      const facts = files.facts();
      const status = files.status();
      const { silent, seenAt, folders, notes, held } = status;
      if (facts.state === 'off') return pass('no folders are replicated');
      if (silent !== null && seenAt === null) return fail(silent);
      if (silent !== null && seenAt !== null && now() - seenAt > ttl) return failSince(silent, seenAt);
      const broken = folders.find(({ error }) => error !== null);
      if (broken !== undefined) return fail(`folder ${broken.id}: ${broken.error}`);
      const failing = folders.find(({ errors }) => errors > 0);
      if (failing !== undefined)
        return fail(`folder ${failing.id}: ${failing.errors} items cannot be replicated${named(failing)}`);
      if (facts.errors > 0) return fail(notes.at(-1) ?? 'local changes remain after a revert');
      const bad = lasting(troubleOf(facts, status, role(), ttl));
      if (bad !== null) return bad;
      if (stalled(facts)) return failSince('is not catching up with the active', least.at);
      if (held.length > 0) return warn(notes.find((note) => note.includes('wait')) ?? 'deletions are held');
      if (facts.state === 'complete') return pass('complete');
      return pass(facts.state === 'unknown' ? 'what is missing is not known yet' : 'catching up');
    },
  };
}

const named = ({ failed = [] }: FolderStatus): string =>
  failed.length === 0 ? ' (see the log of Syncthing)' : `: ${itemsInWords(failed)}`;

/** Why this copy cannot be trusted to become, or to stay, what the active has. */
function troubleOf(facts: FileFacts, status: FilesStatus, role: NodeRole, ttl: number): Trouble | null {
  const { connected, notes } = status;
  const because = notes.length === 0 ? '' : `: ${notes.join('; ')}`;
  const found = (what: string, grace = ttl): Trouble => ({ what, because, grace });
  if (role === 'active')
    return facts.mode === 'sendonly' ? null : found('the files of this active are not sent to the others');
  if (facts.mode === 'sendonly') return found('still sends its files to others');
  if (connected === false) return found('no connection to the active');
  // What a former active has alone is archived before it follows anybody.
  if (connected === null && facts.state === 'behind')
    return found('receives no files from the active yet', PATIENCE);
  if (connected === null) return found('receives no files from the active');
  // A first index is complete once it has been quiet for a moment, or after half of this at the latest.
  return facts.state === 'unknown' ? found('what is missing is not known', PATIENCE) : null;
}
