/**
 * One replication slot per member on every node, before it can be a candidate or a target (PROTOCOL E.3): a
 * standby whose slot is missing at a promotion cannot follow, and cannot confirm.
 */
import type { Result } from '../actions.ts';
import { slotsAreMade, slotsMayBeLost } from '../memory/database.ts';
import type { NodeContext } from '../node.ts';
import { call, type Procedure } from '../ports.ts';

const DEADLINE = 2000;

/** For whom there must be slots, and on which copy of the database: a new copy has none. */
export function slotsWanted(n: NodeContext): string {
  return [n.copy.durable.clone, ...Object.keys(n.view?.nodes ?? {}).sort()].join(' ');
}

export function* makeSlots(n: NodeContext): Procedure<Result> {
  const wanted = slotsWanted(n);
  if (n.db.slotsMade === wanted) return { ok: true };
  const others = Object.keys(n.view?.nodes ?? {}).filter((name) => name !== n.name);
  const made = yield* call('pg', 'ensureSlots', others, DEADLINE);
  if (made.kind !== 'done') return { ok: false, why: `replication slots: ${made.why}` };
  slotsAreMade(n.db, wanted);
  return { ok: true };
}

/**
 * As makeSlots, on the way to opening, which does not end with it: what failed is said, and tried again by
 * the next step.
 */
export function* slotsOrWarn(n: NodeContext): Procedure<void> {
  const made = yield* makeSlots(n);
  if (!made.ok) n.log({ component: 'handler-runner', level: 'warn', message: made.why });
}

/**
 * All slots but those for `names` were dropped, as the list of members was read a moment ago: one that came
 * since may have lost its own.
 */
export function slotsDropped(n: NodeContext, names: readonly string[]): void {
  const [, ...made] = n.db.slotsMade?.split(' ') ?? [];
  if (made.some((name) => name !== n.name && !names.includes(name))) slotsMayBeLost(n.db);
}
