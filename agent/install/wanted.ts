/** What a machine is to have, as data: a plan is a list of these, in the order in which they can be made. */
import type { Prints } from '../config/prints.ts';

export interface Ownership {
  readonly owner: string;
  readonly group: string;
  /** Permission bits, setuid, setgid and sticky among them: 0o2750. */
  readonly mode: number;
}

export interface WantedFolder extends Ownership {
  readonly kind: 'folder';
  readonly path: string;
  /** A mode that its own program gives it, and that is right as well. */
  readonly orMode?: number;
}

export interface WantedFile extends Ownership {
  readonly kind: 'file';
  readonly path: string;
  readonly content: string;
  /** True: a file that is there keeps its content, whatever it is. */
  readonly keep?: boolean;
  /** In place of 'has other content'. */
  readonly why?: string;
  /** The content is checked by its own program before it is put in place. */
  readonly check?: 'sudoers';
}

export interface WantedUnit {
  readonly kind: 'unit';
  readonly name: string;
  readonly enabled: boolean;
  /** True: runs, and from the present executable and unit file. Left out: whatever it does is right. */
  readonly running?: true;
  /**
   * With running: by this configuration, as it notes itself at its start. What leaves no note is left alone.
   */
  readonly reads?: { readonly note: string; readonly prints: Prints };
}

/**
 * What belongs to earlier users and groups becomes that of others; the earlier ones leave `group`. Our units
 * are stopped for it.
 */
export interface WantedMove {
  readonly kind: 'move';
  readonly group: string;
  readonly users: readonly (readonly [from: string, to: string])[];
  /** With everything in them. */
  readonly folders: readonly string[];
}

export type Wanted =
  | { readonly kind: 'group'; readonly name: string }
  | { readonly kind: 'user'; readonly name: string; readonly group: string; readonly home: string }
  | { readonly kind: 'member'; readonly user: string; readonly group: string }
  | WantedFolder
  | WantedFile
  | WantedMove
  /** root:root 0755, a copy of `source`. */
  | { readonly kind: 'executable'; readonly path: string; readonly source: string }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }
  | WantedUnit;

export type Plan = readonly Wanted[];

export const folder = (path: string, owner: string, group: string, mode: number): WantedFolder => ({
  kind: 'folder',
  path,
  owner,
  group,
  mode,
});

export const rootFile = (path: string, content: string, mode = 0o644): WantedFile => ({
  kind: 'file',
  path,
  owner: 'root',
  group: 'root',
  mode,
  content,
});
