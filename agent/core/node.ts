/**
 * What one agent remembers while it runs. Shared by its processes (watcher, keeper, guard, main, voter),
 * which run one step at a time, so that everything between two calls is atomic.
 *
 * Everybody reads all of it; each part is written by its owner alone. A part in `memory/` is written by the
 * functions beside its type, whose names say what happened; a value of `Heard` by the files that take
 * Consul's word in (`Owning`). The compiler refuses a write from elsewhere, and a test goes through the table
 * of owners.
 */

import type { Durable } from './durable.ts';
import { emptyLease, type LeaseView } from './lease_view.ts';
import { type Candidacy, newCandidacy } from './memory/candidacy.ts';
import { type CopyMemory, newCopy } from './memory/copy.ts';
import { type DatabaseMemory, newDatabase } from './memory/database.ts';
import { type Failures, newFailures } from './memory/failures.ts';
import { type FenceMemory, newFence } from './memory/fence.ts';
import { type FilesMemory, newFiles } from './memory/files.ts';
import { type Holding, newHolding } from './memory/holding.ts';
import { type HooksMemory, newHooks } from './memory/hooks.ts';
import { type MainMemory, newMain } from './memory/main.ts';
import { newServices, type ServicesMemory } from './memory/services.ts';
import { type LeaseTimes, type Policy, timesOf } from './policy.ts';
import type { CheckSummary, LockName } from './ports.ts';
import type { StateRecord, View } from './records.ts';

export type LogEvent = { component: string; level: 'info' | 'warn' | 'error'; message: string };

/** Who this agent is and what it can do. Never changes while it runs. */
type Self = {
  readonly name: string;
  /** Boot id and nonce (PROTOCOL B.2). Survives a restart of the agent, not of the machine. */
  readonly instance: string;
  readonly version: string;
  /** The lease times of this node's own file; `policy` has those of the cluster. */
  readonly fileTimes: LeaseTimes;
  /** When this process of the agent began, own clock. */
  readonly bornAt: number;
  /** This node's own monotonic clock, milliseconds. */
  now(): number;
  /**
   * Wall clock, for people: only ever written into records, or compared with an expiry that makes a request
   * go away.
   */
  wall(): Date;
  log(event: LogEvent): void;
  /** Make `nap` of the main process return now. */
  wake(): void;
  unlock(name: LockName): void;
  /** Checks as the check-runner last saw them. */
  checks(): CheckSummary;
  /**
   * Whose name this node's certificates have, as far as PostgreSQL has taken them up; absent in a plain
   * cluster.
   */
  readonly certificates?: () => StateRecord['certificates'];
  /** Has this node an authority by which records about members are signed? Absent in a plain cluster. */
  readonly signs?: () => boolean;
};

/** What Consul said, and what follows from it at once: values that are replaced as a whole. */
type Heard = {
  /**
   * The newest read, with what this node wrote since. Older answers do not replace it, but in a new
   * incarnation of the cluster.
   */
  view: Readonly<View> | null;
  /** When the last answer from Consul came, own clock; -Infinity before the first. */
  viewAt: number;
  /**
   * The newest lease record seen and the own right. The right ends here alone: run out, given away, or
   * another's.
   */
  lease: Readonly<LeaseView>;
  /**
   * This node's own settings, with the lease times and the synchronous mode of the cluster as they were last
   * read.
   */
  policy: Policy;
  /** Which lease times are not as the own file has them, for status; null: none. */
  timesNote: string | null;
  /** Was the cluster's synchronous mode ever read here, or seen not to be there? Never false again. */
  modeKnown: boolean;
};

type Parts = {
  holding: Holding;
  candidacy: Candidacy;
  fence: FenceMemory;
  db: DatabaseMemory;
  copy: CopyMemory;
  services: ServicesMemory;
  files: FilesMemory;
  hooks: HooksMemory;
  failures: Failures;
  main: MainMemory;
};

export type NodeContext = Self & Readonly<Heard> & { readonly [P in keyof Parts]: Readonly<Parts[P]> };

/** The node for a file that owns these values. Which files those are, test/structure/owners.ts says. */
export type Owning<K extends keyof Heard> = Omit<NodeContext, K> & Pick<Heard, K>;

/** A process that has just begun knows nothing but its own file and what it stored. */
export function createContext(
  base: Omit<Self, 'fileTimes' | 'bornAt'> & { policy: Policy; durable: Durable },
): NodeContext {
  const { durable, ...self } = base;
  return {
    ...self,
    fileTimes: timesOf(base.policy),
    bornAt: base.now(),
    view: null,
    viewAt: Number.NEGATIVE_INFINITY,
    lease: emptyLease(),
    timesNote: null,
    modeKnown: false,
    holding: newHolding(),
    candidacy: newCandidacy(),
    fence: newFence(),
    db: newDatabase(),
    copy: newCopy(durable),
    services: newServices(),
    files: newFiles(),
    hooks: newHooks(),
    failures: newFailures(),
    main: newMain(base.now()),
  };
}
