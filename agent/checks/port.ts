/**
 * What the checks are given. Everything here is read at once from somebody's memory: a reader never waits,
 * throws or changes anything.
 */
import type { CheckName } from '../config/checks.ts';
import type { ServiceFacts } from '../core/ports.ts';
import type { PgFacts } from '../core/postgres.ts';

/**
 * active: holds the lease by its own renewal, and its database is the primary. standby: its database follows,
 * or should. none: everything else (joining, rebuilding, fenced down, stopping). Only an `active` is ever
 * written to.
 */
export type NodeRole = 'active' | 'standby' | 'none';

export interface Readers {
  role(): NodeRole;
  /** The last observation of the server and when it was made, by the checks' clock; null: none yet. */
  pgFacts(): { readonly facts: PgFacts; readonly at: number } | null;
  /** Address a standby should stream from: that of the lease's holder; null: none is known. */
  activeHost(): string | null;
  /** While not `open`, a firewall may drop this node's own packets to its client ports. */
  fence(): 'open' | 'closed' | 'unknown';
  /**
   * `changing`: a role change is starting or stopping them, or one is being repaired; null: never observed.
   */
  services(): ServiceFacts | 'changing' | null;
  /** When the decision loop last completed a tick, by the checks' clock. */
  lastBeat(): number;
}

/** Where the server is, and who the agent is to it. */
export interface PgTarget {
  readonly host: string;
  readonly port: number;
  /** Folder of the Unix socket. pg_hba lets `user` in there without a password, fenced or not. */
  readonly socketDir: string;
  readonly user: string;
  readonly database: string;
}

/** skip: the check does not apply to the present role. warn: worth a look; counts as good. */
export type CheckVerdict = 'pass' | 'warn' | 'fail' | 'skip';

export interface CheckResult {
  readonly verdict: CheckVerdict;
  /**
   * One line for people. Says the same as long as the situation is the same (no measured times): each change
   * of it is a write to Consul's catalog.
   */
  readonly output: string;
}

export interface CheckRun {
  /**
   * Time limit of this run, ms. The scheduler ends it; a check that can say more about why may end a little
   * earlier.
   */
  readonly ms: number;
  /** Aborted at the limit and when the runner stops. A check then lets go of everything it holds. */
  readonly signal: AbortSignal;
}

/**
 * One health check. `run` returns what was found; it throws when nothing could be found out. That difference
 * matters to `check_fail_fast` alone. Never called again before it has settled.
 */
export interface Check {
  readonly name: CheckName;
  /** The question depends on the role: past results say nothing once the role has changed. */
  readonly ofRole?: boolean;
  run(run: CheckRun): Promise<CheckResult>;
  /** Lets go of what is kept between runs. */
  close?(): void;
}

export const pass = (output: string): CheckResult => ({ verdict: 'pass', output });
export const warn = (output: string): CheckResult => ({ verdict: 'warn', output });
export const fail = (output: string): CheckResult => ({ verdict: 'fail', output });
export const skip = (output: string): CheckResult => ({ verdict: 'skip', output });
