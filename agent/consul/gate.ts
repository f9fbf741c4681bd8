/**
 * Which records about members count. What Consul holds anybody may have written who has its management token
 * (docs/security.md).
 */
import type { JoiningRecord, NodeRecord } from '../core/records.ts';
import type { KvEntry } from './port.ts';

/** Folders whose records let somebody in. */
export const GUARDED: ReadonlySet<string> = new Set(['nodes', 'joining']);

export interface Gate {
  /**
   * What a read says of the gate itself, before its records are judged. `prefix`: of all keys, with a slash
   * at its end.
   */
  learn(entries: readonly KvEntry[], prefix: string): void;
  /** Another number when records may be judged otherwise than before. */
  epoch(): number;
  /** Why this record counts for nothing, and what to do; undefined: it counts. */
  refusal(folder: 'nodes' | 'joining', name: string, record: NodeRecord | JoiningRecord): string | undefined;
  /** May what was counting before go on, behind a value that does not? False for undefined. */
  stands(folder: 'nodes' | 'joining', name: string, record: NodeRecord | JoiningRecord | undefined): boolean;
  /** Is that the name of a member, as far as is known here, though its record does not count? */
  isMember(name: string): boolean;
}

/** In a plain cluster every record counts. */
export const OPEN_GATE: Gate = {
  learn: () => {},
  epoch: () => 0,
  refusal: () => undefined,
  stands: () => true,
  isMember: () => true,
};
