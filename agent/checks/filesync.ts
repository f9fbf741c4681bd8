/** Are the manager's files replicated: Syncthing answers, every folder can be used, a standby connected and catching up? */
import type { FileFacts, FilesStatus } from '../roles/files/port.ts';
import { type Check, type CheckResult, fail, pass, warn } from './port.ts';

export interface FilesReader {
  facts(): FileFacts;
  status(): FilesStatus;
}

/** A standby that lacks something must come closer within this time, ms; a large file comes block by block. */
const PATIENCE = 60_000;

/** `now`: the clock of `FilesStatus.seenAt`. `ttl`: how long a loss of the connection or of an answer is no news, ms. */
export function filesync(files: FilesReader, now: () => number, ttl: number): Check {
  /** What is lacking was never less than this, since then. */
  let least = { items: 0, bytes: 0, at: now() };
  let apartSince: number | null = null;

  const stalled = ({ needItems, needBytes }: FileFacts): boolean => {
    const closer = needItems < least.items || needBytes < least.bytes || needItems + needBytes === 0;
    if (closer || least.items + least.bytes === 0) least = { items: needItems, bytes: needBytes, at: now() };
    return now() - least.at > PATIENCE;
  };

  return {
    name: 'filesync',
    async run(): Promise<CheckResult> {
      const facts = files.facts();
      const { silent, seenAt, connected, folders, notes, held } = files.status();
      if (facts.state === 'off') return pass('no folders are replicated');
      if (silent !== null && (seenAt === null || now() - seenAt > ttl)) return fail(silent);
      const broken = folders.find(({ error }) => error !== null);
      if (broken !== undefined) return fail(`folder ${broken.id}: ${broken.error}`);
      const failing = folders.find(({ errors }) => errors > 0);
      if (failing !== undefined)
        return fail(`folder ${failing.id}: Syncthing cannot take over some items (see its log)`);
      if (facts.errors > 0) return fail(notes.at(-1) ?? 'local changes stay after a revert');
      apartSince = connected === false ? (apartSince ?? now()) : null;
      if (apartSince !== null && now() - apartSince > ttl) return fail('no connection to the active');
      if (stalled(facts)) return fail('does not come closer to the active');
      if (held.length > 0) return warn(notes.find((note) => note.includes('wait')) ?? 'deletions are held');
      return facts.state === 'complete' ? pass('complete') : pass('catching up');
    },
  };
}
