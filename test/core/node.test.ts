/** What one agent remembers: how it begins, and that who does not own a part cannot write it. */
import { expect, test } from 'bun:test';
import { createContext, type NodeContext } from '../../agent/core/node.ts';
import { defaultPolicy } from '../../agent/core/policy.ts';
import { durable } from './build.ts';

const born = (over = {}) =>
  createContext({
    name: 'a',
    instance: 'boot-a',
    version: '0.1.0',
    policy: defaultPolicy,
    now: () => 70,
    wall: () => new Date(0),
    log: () => {},
    wake: () => {},
    unlock: () => {},
    checks: () => ({ failing: [], weak: [], all: {} }),
    durable: durable('a', over),
  });

test('a process that has just begun has no right, no mandate and no database, and does not know the fence', () => {
  const n = born();
  expect(n.lease).toMatchObject({ right: null, known: false });
  expect(n.candidacy).toMatchObject({ ballot: null, mandate: null });
  expect(n.fence).toMatchObject({ state: 'unknown', running: 0, closedSince: null, outageSince: null });
  expect([n.view, n.db.facts, n.copy.task]).toEqual([null, null, null]);
  expect([n.bornAt, n.main.tickAt]).toEqual([70, 70]);
});

test('it goes on with what was stored: its copy, its vote, and a wish to have the database copied again', () => {
  const stored = { clone: 'a7', vote: { index: 9, epoch: 4, holder: 'b' }, wants: 'reclone' as const };
  const { copy } = born(stored);
  expect(copy).toMatchObject({ durable: stored, wants: 'reclone' });
  expect(born().copy.wants).toBe('nothing');
});

test('two processes share nothing', () => {
  const [one, other] = [born(), born()];
  const parts = Object.entries(one).filter(([, part]) => typeof part === 'object' && part !== null);
  expect(parts.length).toBeGreaterThan(10);
  const shared = parts.filter(([name, part]) => other[name as keyof NodeContext] === part);
  // Values that are replaced as a whole, never written into.
  expect(shared.map(([name]) => name)).toEqual(['policy']);
});

/**
 * Never run: the compiler is what is tried here. Each line that it let pass would fail the stage of types.
 */
export function refused(n: NodeContext): void {
  // @ts-expect-error: owned by lease.ts
  n.view = null;
  // @ts-expect-error: owned by lease.ts
  n.lease = { ...n.lease, right: null };
  // @ts-expect-error: replaced as a whole
  n.lease.right = null;
  // @ts-expect-error: owned by lease_times.ts and sync_mode.ts
  n.policy = defaultPolicy;
  // @ts-expect-error: a part is told what happened
  n.holding.renewing = false;
  // @ts-expect-error: a part is told what happened
  n.candidacy.mandate = null;
  // @ts-expect-error: a part is told what happened
  n.fence.state = 'open';
  // @ts-expect-error: a part is told what happened
  n.db.facts = null;
  // @ts-expect-error: replaced as a whole
  n.copy.durable.clone = 'x';
  // @ts-expect-error: a part is told what happened
  n.services.repairs += 1;
  // @ts-expect-error: a part is told what happened
  n.files.told = { what: null, at: 0, tries: 0 };
  // @ts-expect-error: a list is replaced as a whole
  n.hooks.due.push({ phase: 'follow', facts: {} });
  // @ts-expect-error: a part is told what happened
  n.failures.count = 0;
  // @ts-expect-error: a part is told what happened
  n.main.interrupted = false;
  // @ts-expect-error: no part is put in place of another
  n.main = { ...n.main };
}
