/**
 * The files role as others see it. `facts`, `lead`, `follow` and `settle` are what the core's `files` port
 * asks for.
 */
import type { FileFacts, FileMode } from '../../core/ports.ts';
import type { Outcome } from '../../core/postgres.ts';

/** Another node of the cluster, as Syncthing knows it. */
export type FileMember = {
  readonly node: string;
  readonly deviceId: string;
  /** Address of its Syncthing, without the port where that is the same as here. */
  readonly address: string;
};

/** Deletions that came from the active all at once, and wait for somebody's word. */
export type HeldDeletions = { readonly folder: string; readonly deletions: number; readonly of: number };

/** What the check, the API and people want to know beyond the facts. */
export type FilesStatus = {
  /** null: Syncthing answers. */
  readonly silent: string | null;
  /** Monotonic milliseconds of the last answer; null before the first. */
  readonly seenAt: number | null;
  /** Is there a connection to the node that is followed? null: none is followed. */
  readonly connected: boolean | null;
  readonly folders: readonly FolderStatus[];
  readonly held: readonly HeldDeletions[];
  /** What is going on or wrong, one line each. */
  readonly notes: readonly string[];
};

export type FolderStatus = {
  readonly id: string;
  readonly mode: FileMode;
  /** Syncthing's own word: idle, scanning, syncing, error, ... */
  readonly state: string;
  readonly needItems: number;
  readonly needBytes: number;
  readonly needDeletes: number;
  readonly localChanges: number;
  readonly errors: number;
  readonly error: string | null;
  /** The first of the items that `errors` counts. */
  readonly failed?: readonly FailedItem[];
};

/** `path` is as Syncthing tells it: what is no UTF-8 shows as U+FFFD. */
export type FailedItem = { readonly path: string; readonly error: string };

/** Every call may be repeated. None throws for an expected outcome. */
export type Files = {
  readonly enabled: boolean;
  /** From memory: costs nothing. */
  facts(): FileFacts;
  status(): FilesStatus;
  /**
   * New active: send-only at once, then its own copy becomes everybody's. What it lacks is reported first.
   * `ms`: until it is given up.
   */
  lead(ms: number): Promise<Outcome>;
  /**
   * Receive-only at once. `active`: the node to follow; null: nobody, all connections cut. On a former active
   * what the others lack is archived, and only then replaced; that goes on in the background and shows in the
   * facts as `behind`.
   */
  follow(active: string | null, ms: number): Promise<Outcome>;
  /**
   * On the active, its services stopped: scan, then wait until `target` has all content (its deletions it can
   * do by itself).
   */
  settle(target: string, ms: number): Promise<Outcome>;
  /** Syncthing's id of this node; made at the first call. */
  deviceId(): Promise<string>;
  /**
   * All other members; who is left out is forgotten. Kept on disk, so that it may be called before `start`.
   */
  setMembers(members: readonly FileMember[]): Promise<void>;
  /**
   * Writes its configuration, receive-only and cut off, and starts Syncthing; leaves a running one as it is.
   */
  start(): Promise<void>;
  stop(): Promise<void>;
  /**
   * Stops it and forgets members, index and identity, not the replicated files: for a join that is undone,
   * and teardown.
   */
  wipe(): Promise<void>;
  /** The operator's word: held deletions are carried out. How many. */
  accept(ms: number): Promise<number>;
  /** Ends the watching; Syncthing goes on. */
  close(): Promise<void>;
};
