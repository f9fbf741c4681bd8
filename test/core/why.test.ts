/** Why a role changed: the words that end up in the history, and those of a switchover that waits. */
import { describe, expect, test } from 'bun:test';
import { stateRecord as schema } from '../../agent/consul/records.ts';
import { act } from '../../agent/core/act.ts';
import { decide } from '../../agent/core/decide.ts';
import { type Facts, factsOf } from '../../agent/core/facts.ts';
import { newsOf } from '../../agent/core/gather.ts';
import { release } from '../../agent/core/procedures/handover.ts';
import { stateOf } from '../../agent/core/state.ts';
import { activeFacts, facts, node, pgFacts, primary, stateRecord } from './build.ts';
import { Stage } from './stage.ts';

const reasonOf = (f: Facts): string => {
  const [action] = decide(f).actions;
  return action !== undefined && 'reason' in action ? action.reason : `none: ${JSON.stringify(action)}`;
};
const request = { id: 'r1', target: 'b', by: 'ann on a', expired: false, unfit: null, waiting: null };
const failing = (...names: string[]) => ({ failing: names, weak: [], all: {} });

describe('the reason of a change', () => {
  test.each<[string, Facts, string]>([
    ['a switchover names who asked', activeFacts({ request }), 'switchover to b requested by ann on a'],
    [
      'a failed service is named',
      activeFacts({
        checks: failing('services'),
        services: { missing: ['mgmtworker'], missingAlways: ['broker'] },
        repairs: 9,
      }),
      'services (mgmtworker, broker) failed',
    ],
    ['so is a failed check', activeFacts({ checks: failing('disk') }), 'disk failed'],
    [
      'a failed database',
      activeFacts({ checks: failing('postgres_write'), openFor: 60_000 }),
      'postgres_write failed',
    ],
    ['a shutdown', activeFacts({ stopping: 'shutdown', fit: null }), 'the machine shuts down'],
    ['a shutdown with a successor', activeFacts({ stopping: 'shutdown' }), 'the machine shuts down'],
  ])('%s', (_, f, reason) => expect(reasonOf(f)).toBe(reason));

  test('whoever takes a released lease says by whom and why it was released', () => {
    const stage = new Stage();
    const a = node('a', stage);
    stage.sees(a);
    a.lease = { ...a.lease, right: { epoch: 5, until: stage.now + 3000 } };
    expect(stage.run(release(a, 'postgres_write failed')).ok).toBe(true);
    const b = node('b', stage);
    stage.sees(b);
    const services = { running: [], missing: [], missingAlways: [] };
    const seen = factsOf(b, pgFacts(), services, { mayWipe: false, mayFollow: true });
    expect(seen.lease).toMatchObject({
      state: 'free',
      released: 'a released the lease: postgres_write failed',
    });
    const verdict = { kind: 'may' as const, reason: 'all', missing: [] };
    const won = { ...seen, ballot: { current: true, age: 10, verdict: verdict as never, rank: 0 } };
    expect(reasonOf(won)).toBe('a released the lease: postgres_write failed');
  });

  test('a lease that somebody has was not released', () => {
    expect(facts().lease.released).toBeUndefined();
    const stage = new Stage();
    const b = node('b', stage);
    stage.sees(b);
    const services = { running: [], missing: [], missingAlways: [] };
    expect(
      factsOf(b, pgFacts(), services, { mayWipe: false, mayFollow: true }).lease.released,
    ).toBeUndefined();
  });
});

describe('what a switchover waits for', () => {
  const said = (waiting: string | null) => {
    const n = node('a', new Stage());
    const f = activeFacts({ request: { ...request, waiting } });
    return stateOf(n, f, decide(f));
  };

  test('is in the state of the active, and of nobody else', () => {
    expect(said('it is 90 bytes behind').waiting).toEqual({ id: 'r1', why: 'b: it is 90 bytes behind' });
    expect(said(null).waiting).toBeUndefined();
    const f = facts({ request: { ...request, waiting: 'it lacks files' } });
    expect(stateOf(node('b', new Stage()), f, decide(f)).waiting).toBeUndefined();
  });

  test('is published when the reason is another, and not for each byte', () => {
    const [many, few, files] = ['it is 90 bytes behind', 'it is 80 bytes behind', 'it lacks 2 files'].map(
      (why) => newsOf({ ...said(why), rule: '', at: '' }),
    );
    expect(many).toBe(few as string);
    expect(many).not.toBe(files as string);
  });

  test('survives Consul; agents that know nothing of it leave it out', async () => {
    const { safeParse } = await import('valibot');
    const clone = '0a1b2c3d';
    expect(safeParse(schema, stateRecord('a', { clone })).success).toBe(true);
    expect(safeParse(schema, stateRecord('a', { clone, waiting: { id: 'r1', why: 'x' } })).success).toBe(
      true,
    );
    expect(safeParse(schema, { ...stateRecord('a', { clone }), waiting: 'x' }).success).toBe(false);
  });

  test('of a handover under way is each of its steps, and nothing once it has ended', () => {
    const stage = new Stage();
    const n = node('a', stage, { fence: { state: 'open' }, db: { facts: primary() } });
    stage.sees(n);
    n.lease = { ...n.lease, right: { epoch: 5, until: stage.now + 3000 } };
    const steps: (string | null)[] = [];
    const note = <T>(answer: T) => {
      if (steps.at(-1) !== n.main.step) steps.push(n.main.step);
      return answer;
    };
    const sender = { name: 'b_b1', state: 'streaming', sent: 1000n, flush: 1000n, replay: 1000n };
    stage.on('pg.replication', () => note({ insert: 1000n, senders: [sender] }));
    stage.on('services.down', () => note({ kind: 'done' }));
    stage.on('pg.checkpoint', () => note({ kind: 'done' }));
    stage.on('pg.stop', () => note({ kind: 'stopped', clean: true, checkpoint: 2000n, timeline: 3 }));
    stage.on('peers.state', () => note({ replayed: 2001n, timeline: 3, streaming: true }));
    const done = stage.run(act(n, { do: 'handover', to: 'b', reason: 'test', why: 'requested' }, () => 'x'));
    expect(done).toEqual({ ok: true });
    expect(steps).toEqual([
      'until b has caught up',
      'for its services to stop',
      'for a checkpoint',
      'for PostgreSQL to stop',
      'until b has replayed the end of the log',
    ]);
    expect(n.main.step).toBeNull();
  });
});
