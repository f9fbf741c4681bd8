/** What a list of attempts proves. Pure. */
import type { Wait } from './waiter.ts';
import type { Attempt } from './writer.ts';

/**
 * Shorter than any two role changes in a row: to lose the active role and get it back takes two switchovers.
 */
export const OVERLAP_WINDOW = 250;

/** Acknowledged attempts in the order of their answers. */
export const acknowledged = (attempts: readonly Attempt[]): Attempt[] =>
  attempts.filter(({ outcome }) => outcome === 'acknowledged').sort((a, b) => a.answered - b.answered);

export interface Gap {
  readonly ms: number;
  readonly from: number;
  readonly to: number;
}

/**
 * The longest time without an acknowledged write anywhere, between `from` and `to`. The last one before
 * `from` and the first one after `to` bound it, so that a mark set during an outage does not shorten it.
 * Infinite when none came after.
 */
export function longestGap(attempts: readonly Attempt[], from: number, to = Number.POSITIVE_INFINITY): Gap {
  const times = acknowledged(attempts).map(({ answered }) => answered);
  const begin = times.findLast((time) => time <= from) ?? from;
  const after = times.filter((time) => time > begin);
  const inside = after.filter((time) => time <= to);
  const next = after.find((time) => time > to);
  const points = [begin, ...inside, ...(next === undefined ? [] : [next])];
  if (points.length < 2) return { ms: Number.POSITIVE_INFINITY, from: begin, to: Number.POSITIVE_INFINITY };
  let longest: Gap = { ms: 0, from: begin, to: begin };
  for (let index = 1; index < points.length; index++) {
    const [a, b] = [points[index - 1] ?? 0, points[index] ?? 0];
    if (b - a > longest.ms) longest = { ms: b - a, from: a, to: b };
  }
  return longest;
}

export interface Overlap {
  readonly node: string;
  readonly other: string;
  readonly token: string;
  readonly at: number;
}

/**
 * Moments with two writable nodes: a write acknowledged by one node that lies wholly between two
 * acknowledgements of another so near to each other that the role cannot have gone there and back.
 */
export function overlaps(attempts: readonly Attempt[]): Overlap[] {
  const all = acknowledged(attempts);
  const byNode = Map.groupBy(all, ({ node }) => node);
  const found: Overlap[] = [];
  for (const [other, theirs] of byNode) {
    for (const [node, ours] of byNode) {
      if (node === other) continue;
      let index = 0;
      for (const own of ours) {
        while (index + 1 < theirs.length && (theirs[index + 1]?.answered ?? 0) < own.sent) index += 1;
        const before = theirs[index];
        const after = theirs.slice(index + 1).find(({ sent }) => sent > own.answered);
        if (!before || !after || before.answered >= own.sent) continue;
        if (after.answered - before.answered > OVERLAP_WINDOW) continue;
        found.push({ node, other, token: own.token, at: own.answered });
      }
    }
  }
  return found;
}

export interface Reign {
  readonly node: string;
  readonly from: number;
  readonly to: number;
  readonly writes: number;
}

/** Who acknowledged writes, one after the other. Two managers that overlap show up as many short reigns. */
export function reigns(attempts: readonly Attempt[], since = 0): Reign[] {
  const result: Reign[] = [];
  for (const { node, answered } of acknowledged(attempts)) {
    if (answered < since) continue;
    const last = result.at(-1);
    if (last?.node === node) result[result.length - 1] = { ...last, to: answered, writes: last.writes + 1 };
    else result.push({ node, from: answered, to: answered, writes: 1 });
  }
  return result;
}

export interface Balance {
  readonly acknowledged: number;
  readonly warned: number;
  readonly unknown: number;
  readonly refused: number;
  /** Acknowledged rows that the database does not have. */
  readonly lost: readonly string[];
  /** Rows it has although the server refused them: an error of the ledger itself. */
  readonly phantoms: readonly string[];
  /** Unknown or warned attempts whose row is there. */
  readonly unknownFound: number;
  readonly found: number;
}

/** Compares the attempts with the tokens found in the database. */
export function balance(attempts: readonly Attempt[], tokens: ReadonlySet<string>): Balance {
  const of = (outcome: Attempt['outcome']) => attempts.filter((attempt) => attempt.outcome === outcome);
  const there = ({ token }: Attempt) => tokens.has(token);
  const [acks, warned, unknown, refused] = [of('acknowledged'), of('warned'), of('unknown'), of('refused')];
  return {
    acknowledged: acks.length,
    warned: warned.length,
    unknown: unknown.length,
    refused: refused.length,
    lost: acks.filter((attempt) => !there(attempt)).map(({ token }) => token),
    phantoms: refused.filter(there).map(({ token }) => token),
    unknownFound: [...unknown, ...warned].filter(there).length,
    found: tokens.size,
  };
}

/**
 * Clients that wait still on a node after another one has acknowledged a write that was sent after they
 * began: nobody told them.
 */
export const hung = (waits: readonly Wait[], attempts: readonly Attempt[]): Wait[] =>
  waits.filter(
    (wait) =>
      wait.ended === null &&
      attempts.some(
        ({ node, outcome, sent }) => outcome === 'acknowledged' && node !== wait.node && sent > wait.began,
      ),
  );
