/** Slots before a node is fit, and before anybody is waited for (PROTOCOL E.3). */
import { expect, test } from 'bun:test';
import { decide } from '../../agent/core/decide.ts';
import { factsOf } from '../../agent/core/facts.ts';
import { renewWith } from '../../agent/core/lease.ts';
import type { NodeContext } from '../../agent/core/node.ts';
import { finishPromotion, promote, reopen, startInPlace } from '../../agent/core/procedures/promote.ts';
import { makeSlots, slotsDropped } from '../../agent/core/procedures/slots.ts';
import { stateOf } from '../../agent/core/state.ts';
import {
  historyRecord,
  leaseRecord,
  type NodeOver,
  node,
  nodeRecord,
  pgFacts,
  primary,
  syncRecord,
  vote,
} from './build.ts';
import { Stage } from './stage.ts';

const members = (stage: Stage, ...names: string[]) => {
  for (const name of names) stage.store.put(`nodes/${name}`, nodeRecord(name));
};

/** `b` has just taken the lease (epoch 6) from `a`, and has no slots yet, as far as its agent knows. */
function winner(over: NodeOver = {}) {
  const stage = new Stage();
  members(stage, 'a', 'b', 'c');
  stage.store.put('next_master', leaseRecord({ holder: 'b', instance: 'boot-b', epoch: 6, from: 'a' }));
  stage.store.put('history/5', historyRecord());
  const n = node('b', stage, {
    candidacy: { mandate: { kind: 'votes', epoch: 6, votes: [vote('b'), vote('c')] } },
    fence: { state: 'closed' },
    db: { facts: pgFacts() },
    ...over,
  });
  stage.sees(n);
  stage.run(renewWith(n, []));
  let timeline = 3;
  stage
    .on('pg.promote', () => {
      timeline = 4;
      return { kind: 'done', timeline };
    })
    .on('pg.replication', () => ({
      insert: 1100n,
      timeline,
      senders: [{ name: 'c_c1', state: 'streaming', sent: 1100n, flush: 1100n, replay: 1100n }],
    }));
  stage.trace.length = 0;
  return { stage, n };
}
const story = (stage: Stage) => stage.order(/^pg\.(ensureSlots|promote|replication)/, /^fence\.open/);
const unready = (n: NodeContext, over = {}) => {
  const none = { running: [], missing: [], missingAlways: [] };
  const facts = factsOf(n, pgFacts(over), none, { mayWipe: false, mayFollow: true });
  return stateOf(n, facts, decide(facts)).unready ?? [];
};
const SLOTS = 'replication slots for the members';

test('a standby is not ready before its slots are known to be there: not either while it does not answer yet', () => {
  const stage = new Stage();
  members(stage, 'a', 'b', 'c');
  const n = node('b', stage);
  stage.sees(n);
  expect(unready(n)).toContain(SLOTS);
  expect(unready(n, { accepting: false, role: 'unknown', position: null })).toContain(SLOTS);
  stage.run(makeSlots(n));
  expect(stage.args('pg.ensureSlots')).toEqual([[['a', 'c'], 2000]]);
  expect(unready(n)).not.toContain(SLOTS);
  n.copy.durable = { ...n.copy.durable, clone: 'b2' };
  expect(unready(n)).toContain(SLOTS);
});

test('a promotion makes them before it, and once more after it where that failed, before it waits for anybody', () => {
  const { stage, n } = winner();
  stage.once('pg.ensureSlots', () => ({ kind: 'failed', why: 'no answer' }));
  expect(stage.run(promote(n))).toEqual({ ok: true });
  expect(story(stage)).toEqual([
    'pg.ensureSlots',
    'pg.promote',
    'pg.ensureSlots',
    'pg.replication',
    'pg.replication',
    'fence.open',
  ]);
});

test('a promotion whose agent died in it: the next one makes them before it waits', () => {
  const { stage, n } = winner({ candidacy: { mandate: null }, db: { facts: primary() } });
  stage.on('pg.replication', () => ({
    insert: 1100n,
    timeline: 4,
    senders: [{ name: 'c_c1', state: 'streaming', sent: 1100n, flush: 1100n, replay: 1100n }],
  }));
  expect(stage.run(finishPromotion(n))).toEqual({ ok: true });
  expect(story(stage)[0]).toBe('pg.ensureSlots');
});

test('a start in place looks again: recovery may have given a slot up', () => {
  const { stage, n } = winner();
  stage.store.put('sync', syncRecord({ leader: 'b', epoch: 6, voters: [{ node: 'c', clone: 'c1' }] }));
  stage.sees(n);
  stage.run(makeSlots(n));
  stage.trace.length = 0;
  expect(stage.run(startInPlace(n))).toEqual({ ok: true });
  expect(story(stage)[0]).toBe('pg.ensureSlots');
  stage.trace.length = 0;
  expect(stage.run(reopen(n))).toEqual({ ok: true });
  expect(story(stage)).not.toContain('pg.ensureSlots');
});

test('slots that were dropped by a list of before are made again', () => {
  const stage = new Stage();
  members(stage, 'a', 'b', 'c');
  const n = node('b', stage);
  stage.sees(n);
  stage.run(makeSlots(n));
  slotsDropped(n, ['a', 'c', 'joining']);
  stage.run(makeSlots(n));
  expect(stage.args('pg.ensureSlots')).toHaveLength(1);
  // `c` came after that list was read, or was removed and came back.
  slotsDropped(n, ['a']);
  stage.run(makeSlots(n));
  expect(stage.args('pg.ensureSlots')).toHaveLength(2);
});
