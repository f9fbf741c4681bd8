/**
 * What a machine lacks of a plan: each change in words, with the wanted thing that makes it. Changes nothing.
 */
import { differing, parseNote } from '../config/prints.ts';
import type { Sight, UnitSeen } from './machine.ts';
import type { Ownership, Plan, Wanted, WantedFile, WantedUnit } from './wanted.ts';

export interface Change {
  /** What the change is to: a path, a user, a unit. */
  readonly subject: string;
  readonly what: string;
  readonly wanted: Wanted;
}

export const octal = (mode: number): string => mode.toString(8).padStart(4, '0');

/** Undefined: as it should be. */
function ownership(seen: Ownership, wanted: Ownership): string | undefined {
  const parts: string[] = [];
  if (seen.owner !== wanted.owner || seen.group !== wanted.group)
    parts.push(`belongs to ${seen.owner}:${seen.group}, should belong to ${wanted.owner}:${wanted.group}`);
  if (seen.mode !== wanted.mode)
    parts.push(`has mode ${octal(seen.mode)}, should have ${octal(wanted.mode)}`);
  return parts.length === 0 ? undefined : parts.join('; ');
}

function file(sight: Sight, wanted: WantedFile): string | undefined {
  const seen = sight.look(wanted.path);
  if (seen === undefined) return 'is to be written';
  if (seen.type !== 'file') return `is a ${seen.type}, should be a file`;
  const wrong = ownership(seen, wanted);
  const changed = wanted.keep !== true && sight.read(wanted.path) !== wanted.content;
  return (
    [changed ? (wanted.why ?? 'has other content') : undefined, wrong].filter(Boolean).join('; ') || undefined
  );
}

const ROOT_PROGRAM: Ownership = { owner: 'root', group: 'root', mode: 0o755 };

/** Everything but units: what is wrong with it, or undefined. */
function wrong(sight: Sight, wanted: Exclude<Wanted, WantedUnit>): readonly [string, string | undefined] {
  switch (wanted.kind) {
    case 'group':
      return [`group ${wanted.name}`, sight.group(wanted.name) ? undefined : 'is to be created'];
    case 'user':
      return [`user ${wanted.name}`, sight.user(wanted.name) ? undefined : 'is to be created'];
    case 'member': {
      const has =
        sight.group(wanted.group)?.members.includes(wanted.user) === true ||
        sight.user(wanted.user)?.group === wanted.group;
      return [`user ${wanted.user}`, has ? undefined : `is to be in group ${wanted.group}`];
    }
    case 'move': {
      const names = wanted.users.map(([from, to]) => `${from} to ${to}`).join(', ');
      const rest = `what runs as ${wanted.users[0]?.[0]} keeps group ${wanted.group} until it is restarted`;
      return [wanted.folders.join(' '), `is to pass from ${names}: our units stop for it; ${rest}`];
    }
    case 'folder': {
      const seen = sight.look(wanted.path);
      if (seen === undefined) return [wanted.path, 'is to be created'];
      if (seen.type !== 'folder') return [wanted.path, `is a ${seen.type}, should be a folder`];
      const mode = seen.mode === wanted.orMode ? seen.mode : wanted.mode;
      return [wanted.path, ownership(seen, { ...wanted, mode })];
    }
    case 'file':
      return [wanted.path, file(sight, wanted)];
    case 'link': {
      const seen = sight.look(wanted.path);
      const right = seen?.type === 'link' && seen.target === wanted.target;
      return [wanted.path, right ? undefined : `is to be a link to ${wanted.target}`];
    }
    case 'executable': {
      const seen = sight.look(wanted.path);
      if (seen === undefined) return [wanted.path, `is to be copied from ${wanted.source}`];
      if (seen.type !== 'file' || !sight.same(wanted.path, wanted.source))
        return [wanted.path, `is to be replaced by ${wanted.source}`];
      return [wanted.path, ownership(seen, ROOT_PROGRAM)];
    }
  }
}

/**
 * What of its configuration a process read otherwise. Its note may be anybody's whose process it is: it is
 * compared, and nothing else.
 */
function readOtherwise(sight: Sight, { reads }: WantedUnit): string[] {
  if (reads === undefined || sight.look(reads.note)?.type !== 'file') return [];
  let text: string | undefined;
  try {
    text = sight.read(reads.note);
  } catch {
    return []; // doctor, as a user who may not read it
  }
  const noted = parseNote(text);
  return noted === undefined ? [] : differing(noted, reads.prints);
}

function unitChanges(
  wanted: WantedUnit,
  seen: UnitSeen | undefined,
  replaced: boolean,
  otherwise: readonly string[],
): Change[] {
  const change = (what: string): Change => ({ subject: wanted.name, what, wanted });
  const changes: Change[] = [];
  if (wanted.enabled !== (seen?.enabled ?? false))
    changes.push(change(wanted.enabled ? 'is to be enabled' : 'is to be disabled'));
  if (wanted.running !== true) return changes;
  if (seen?.active !== true) changes.push(change('is to be started'));
  else if (seen.outdated || replaced)
    changes.push(change('is to be restarted: it runs from what was replaced'));
  else if (otherwise.length > 0)
    changes.push(change(`is to be restarted: it runs with another configuration (${otherwise.join(', ')})`));
  return changes;
}

/** In the order of the plan. */
export async function changesOf(plan: Plan, sight: Sight): Promise<Change[]> {
  const changes: Change[] = [];
  const wantedUnits: WantedUnit[] = [];
  for (const wanted of plan) {
    if (wanted.kind === 'unit') {
      wantedUnits.push(wanted);
      continue;
    }
    const [subject, what] = wrong(sight, wanted);
    if (what !== undefined) changes.push({ subject, what, wanted });
  }
  const seen = await sight.units(wantedUnits.map(({ name }) => name));
  const program = changes.some(({ wanted }) => wanted.kind === 'executable');
  for (const wanted of wantedUnits) {
    const ownFile = changes.some((change) => change.subject.endsWith(`/${wanted.name}`));
    // A socket runs no program of its own.
    const ownProgram = program && !wanted.name.endsWith('.socket');
    const otherwise = readOtherwise(sight, wanted);
    changes.push(...unitChanges(wanted, seen.get(wanted.name), ownProgram || ownFile, otherwise));
  }
  return changes;
}

export const changeLine = ({ subject, what }: Change): string => `${subject} ${what}`;
