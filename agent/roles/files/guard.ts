/**
 * The guard against mass deletions. A standby's folders ignore deletions; the agent gathers what has come in,
 * and has it carried out when it is little. A deletion that meets the moment in which others are carried out
 * slips through: the files are in `.stversions` then.
 */
import type { NodeConfig } from '../../config/index.ts';
import { sleep } from '../../platform/clock.ts';
import { applyStance, type Context, look, now } from './context.ts';
import type { FolderSeen } from './facts.ts';

type Pending = Pick<FolderSeen, 'needDeletes' | 'globalItems'>;

/** More than both limits? `globalItems` are those that are not deleted. */
export function isMass({ files }: Pick<NodeConfig, 'files'>, { needDeletes, globalItems }: Pending): boolean {
  const { items, percent } = files.mass_deletion;
  const before = globalItems + needDeletes;
  return needDeletes > items && needDeletes * 100 > before * percent;
}

/** Deletions keep coming: they are not waited out for ever. */
const LONGEST_GATHERING = 10;

export type Gathering = { since: number; changedAt: number; count: number };

/**
 * Pure: is what has been gathered ready to be looked at as one? Also returns the next state; null when
 * nothing is pending.
 */
export function gather(
  before: Gathering | null,
  count: number,
  at: number,
  delay: number,
): { next: Gathering | null; ripe: boolean } {
  if (count === 0) return { next: null, ripe: false };
  if (before === null) return { next: { since: at, changedAt: at, count }, ripe: delay === 0 };
  const next = before.count === count ? before : { ...before, changedAt: at, count };
  const ripe = at - next.changedAt >= delay || at - next.since >= delay * LONGEST_GATHERING;
  return { next, ripe };
}

/** Lets the pending deletions through until they are done, or `ms` have passed. Returns how many were. */
export async function carryOut(ctx: Context, ms: number, force = false): Promise<number> {
  const end = now() + ms;
  const before = deletions((await look(ctx)).folders);
  if (before === 0) return 0;
  let left = before;
  try {
    await applyStance(ctx, true);
    for (;;) {
      const { folders } = await look(ctx);
      left = deletions(folders);
      if (left === 0 || now() >= end || ctx.turn.signal.aborted) break;
      if (!force && folders.some((folder) => isMass(ctx.config, folder))) break;
      await sleep(50, ctx.turn.signal);
    }
  } finally {
    await applyStance(ctx, false);
  }
  return before - left;
}

const deletions = (folders: readonly FolderSeen[]): number =>
  folders.reduce((total, { needDeletes }) => total + needDeletes, 0);
