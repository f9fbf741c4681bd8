/**
 * What a value that is not understood means for decisions. It is that record's problem, and nothing is
 * concluded from it. Pure.
 */
import type { NodeRecord, View } from './records.ts';

/** Without these nobody can tell who may be active, or whose data counts. */
const DECISIVE = ['next_master', 'cluster', 'sync'];

/** Those of them that cannot be read: nobody takes over, promotes, wipes or changes voters until they can. */
export const faultsOf = (view: View | null): string[] =>
  DECISIVE.filter((key) => view?.unreadable?.[key] !== undefined);

export const isUnreadable = (view: View | null, key: string): boolean =>
  view?.unreadable?.[key] !== undefined;

/** A member of whom nothing is known but that it is one: it counts, and cannot be asked or followed. */
export function unknownNode(): NodeRecord {
  return {
    schema: 1,
    hostIp: '',
    publicIp: null,
    apiPort: 0,
    postgresPort: 0,
    version: '',
    options: { priority: 100, nofailover: false, maintenance: false },
  };
}

/** Numbers that reservations nobody can read may have taken: each is few past all before it. */
const TAKEN_UNSEEN = 16;

export function timelinesTakenUnseen(view: View | null): number {
  const hidden = Object.keys(view?.unreadable ?? {}).filter((key) => key.startsWith('history/'));
  return hidden.length * TAKEN_UNSEEN;
}
