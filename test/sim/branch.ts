/**
 * What lies in data directories. A branch is one life of a writable server after a promotion: two promotions
 * that both call themselves timeline 2 are two branches. A data directory is a branch and how far it has been
 * flushed. Positions are plain numbers in here and become bigints only towards the core.
 */
import type { Fork } from '../../agent/core/postgres.ts';

export const FIRST_LSN = 0x3000000;
export const RECORD = 128;

export type Branch = {
  id: number;
  tli: number;
  parent: Branch | null;
  /** Where the parent was left. */
  fork: number;
  /** End of what was ever written on it. */
  end: number;
  /**
   * Every write up to here was acknowledged to a client (acknowledgement of a write implies all before it).
   */
  acked: number;
  /** The last commit of a client on it, confirmed or not. */
  lastCommit: number;
  /**
   * Who wrote on it: another node that opens it as a primary without a promotion makes a branch of the same
   * timeline.
   */
  writer: string;
  /** The timeline history as PostgreSQL's history file has it, oldest first. */
  history: Fork[];
};

export class Forest {
  readonly branches: Branch[] = [];

  root(writer: string): Branch {
    return this.add({ tli: 1, parent: null, fork: FIRST_LSN, writer, history: [] });
  }

  /** A promotion at `at`. */
  promote(parent: Branch, at: number, tli: number, writer: string): Branch {
    const history = [...historyAt(parent, at), { tli: parent.tli, lsn: BigInt(at) }];
    return this.add({ tli, parent, fork: at, writer, history });
  }

  /** A writable start without a promotion, on data that another server wrote or that ends earlier. */
  sameTimeline(parent: Branch, at: number, writer: string): Branch {
    return this.add({ tli: parent.tli, parent, fork: at, writer, history: parent.history });
  }

  private add(of: Pick<Branch, 'tli' | 'parent' | 'fork' | 'writer' | 'history'>): Branch {
    const branch: Branch = { id: this.branches.length, ...of, end: of.fork, acked: 0, lastCommit: 0 };
    this.branches.push(branch);
    return branch;
  }
}

function historyAt(branch: Branch, at: number): Fork[] {
  return branch.history.filter((f) => f.lsn <= BigInt(at));
}

/** Does the data of `branch` up to `at` contain `other` up to `upTo`? */
export function contains(branch: Branch, at: number, other: Branch, upTo: number): boolean {
  let limit = at;
  for (let b: Branch | null = branch; b !== null; b = b.parent) {
    if (b === other) return upTo <= limit;
    if (b.fork < limit) limit = b.fork;
  }
  // Nothing of `other` itself is needed when what is asked for lies before it forked.
  return other.parent !== null && upTo <= other.fork && contains(branch, at, other.parent, upTo);
}

/** The segment of `branch` that PostgreSQL would find under this timeline number, and where it ends. */
export function segment(branch: Branch, at: number, tli: number): { branch: Branch; end: number } | null {
  let end = at;
  for (let b: Branch | null = branch; b !== null; b = b.parent) {
    if (b.tli === tli) return { branch: b, end };
    if (b.fork < end) end = b.fork;
  }
  return null;
}

export function describe(branch: Branch, at: number): string {
  return `tli ${branch.tli} (#${branch.id}) @${at.toString(16)}`;
}
