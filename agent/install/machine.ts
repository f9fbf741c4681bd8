/** What install asks of a machine, and does to it. The real one is at its end; tests have one in memory. */
import { realHand } from './real_hand.ts';
import { realSight } from './real_sight.ts';
import type { Ownership, Wanted, WantedFile, WantedFolder } from './wanted.ts';

export interface Seen extends Ownership {
  readonly type: 'file' | 'folder' | 'link' | 'other';
  /** Of a symbolic link. */
  readonly target?: string;
}

export interface UnitSeen {
  readonly loaded: boolean;
  readonly enabled: boolean;
  /** Masked by a link to /dev/null. */
  readonly masked: boolean;
  readonly active: boolean;
  /** Its last run ended badly, and systemd remembers it. */
  readonly failed?: boolean;
  /** Runs from an executable or a unit file that has been replaced since. */
  readonly outdated: boolean;
}

/** The reading side. Changes nothing. */
export interface Sight {
  group(name: string): { readonly members: readonly string[] } | undefined;
  user(name: string): { readonly group: string; readonly home: string } | undefined;
  /**
   * Of the path itself, not of what a link points to. Undefined: not there, or not to be seen by this user.
   */
  look(path: string): Seen | undefined;
  /** Undefined: not there. Throws `unreadable` where this user may not read. */
  read(path: string): string | undefined;
  list(path: string): readonly string[];
  /** Are they equal, byte for byte? */
  same(a: string, b: string): boolean;
  /**
   * Why that user is not the agent's alone (tenants.ts); empty when it is. `executable`: what runs it is
   * ours.
   */
  tenants(user: string, executable: string): readonly string[];
  units(names: readonly string[]): Promise<ReadonlyMap<string, UnitSeen>>;
}

/** The acting side: root only. Every one may be repeated. */
export interface Hand {
  /** Makes one thing so. Not for units: these are systemctl's. */
  make(wanted: Exclude<Wanted, { kind: 'unit' }>): Promise<void>;
  /**
   * Removes a file or a link; a folder only when it is empty, or with `whole`. Nothing there: nothing to do.
   */
  remove(path: string, whole?: boolean): Promise<void>;
  /** Moves a folder into one of root's own that is made for it. What is mounted there stays, empty. */
  setAside(path: string, into: string): Promise<void>;
  /** Runs a program to its end; throws `command_failed` with what it said. Resolves to its output. */
  run(argv: readonly string[], ms?: number): Promise<string>;
}

export interface Machine extends Sight, Hand {}

export type { WantedFile, WantedFolder };

/** This machine. Its acting side needs root. */
export const realMachine: Machine = { ...realSight, ...realHand };
