import { describe, expect, test } from 'bun:test';
import { renewWith } from '../../agent/core/lease.ts';
import type { NodeContext } from '../../agent/core/node.ts';
import { answerFailsafe, askFailsafe } from '../../agent/core/procedures/failsafe.ts';
import { answerVote } from '../../agent/core/procedures/vote.ts';
import { type NodeOver, node, nodeRecord, pgFacts } from './build.ts';
import { Stage } from './stage.ts';

/** `a`, the holder, with a right that began a while ago; Consul is silent from here on. */
function holder(over: NodeOver = {}) {
  const stage = new Stage();
  const n = node('a', stage, over);
  stage.sees(n);
  n.lease = { ...n.lease, right: { epoch: 5, until: stage.now + 1000 } };
  return { stage, n };
}

/** `b`, a member that last saw the lease of `a` a while ago. */
function member(over: NodeOver = {}) {
  const stage = new Stage();
  const n = node('b', stage, over);
  stage.sees(n);
  stage.on('pg.facts', () => pgFacts({ streaming: false, upstreamHost: null }));
  return { stage, n, request: { holder: 'a', instance: n.lease.record?.instance ?? '', epoch: 5 } };
}

describe('the holder, Consul silent', () => {
  test('keeps its right from before it asked, when every member agrees', () => {
    const { stage, n } = holder();
    stage.on('peers.failsafe', (nodes: string[]) => nodes).takes('peers.failsafe', 300);
    const asked = stage.now;
    expect(stage.run(askFailsafe(n))).toBe(true);
    expect(n.lease.right).toEqual({ epoch: 5, until: asked + n.policy.renewDeadline });
  });
  test('gains nothing when one member does not answer', () => {
    const { stage, n } = holder();
    stage.on('peers.failsafe', (nodes: string[]) => nodes.slice(1));
    const before = n.lease.right;
    expect(stage.run(askFailsafe(n))).toBe(false);
    expect(n.lease.right).toEqual(before);
  });
  test('gains nothing when its right ended while it asked', () => {
    const { stage, n } = holder();
    stage.on('peers.failsafe', (nodes: string[]) => {
      n.lease = { ...n.lease, right: null };
      return nodes;
    });
    expect(stage.run(askFailsafe(n))).toBe(false);
    expect(n.lease.right).toBeNull();
  });
  test('does not ask without a right to extend', () => {
    const { stage, n } = holder();
    n.lease = { ...n.lease, right: null };
    expect(stage.run(askFailsafe(n))).toBe(false);
    expect(stage.trace).toEqual([]);
  });
});

describe('a member that was entered as Consul fell silent', () => {
  const enter = (stage: Stage, n: NodeContext) =>
    stage.run(renewWith(n, [{ verb: 'cas', key: 'nodes/d', value: nodeRecord('d'), index: 0 }]));

  test('is asked with the others, though no answer of Consul has told of it', () => {
    const { stage, n } = holder();
    expect(enter(stage, n)).toBe('ok');
    stage.on('peers.failsafe', (nodes: string[]) => nodes.filter((name) => name !== 'd'));
    expect(stage.run(askFailsafe(n))).toBe(false);
    stage.on('peers.failsafe', (nodes: string[]) => nodes);
    expect(stage.run(askFailsafe(n))).toBe(true);
  });
  test('perhaps: where a node takes over without votes, the right is not extended until that is known', () => {
    const { stage, n } = holder();
    n.policy = { ...n.policy, synchronousMode: 'off' };
    stage.on('peers.failsafe', (nodes: string[]) => nodes);
    expect(stage.run(askFailsafe(n))).toBe(true);
    stage.on('consul.read', () => 'unknown').once('consul.txn', stage.landedUnknown);
    expect(enter(stage, n)).toBe('unknown');
    expect(stage.run(askFailsafe(n))).toBe(false);
    stage.on('consul.read', () => stage.store.view());
    expect(stage.run(renewWith(n, []))).toBe('ok');
    stage.sees(n);
    expect(stage.run(askFailsafe(n))).toBe(true);
  });
});

describe('a member that is asked', () => {
  test('restarts its own challenger clock', () => {
    const { stage, n, request } = member();
    stage.now += 3000;
    expect(answerFailsafe(n, request)).toBe(true);
    expect(n.lease.firstSeen).toBe(stage.now);
  });
  test('and so gives no vote before renew_deadline has passed again', () => {
    const { stage, n, request } = member();
    stage.now += n.policy.renewDeadline;
    answerFailsafe(n, request);
    expect(stage.run(answerVote(n, { index: n.lease.index, candidate: 'c' })).kind).toBe('refused');
  });
  test('refuses once it gave its vote on this lease: the holder may be replaced already', () => {
    const { stage, n, request } = member();
    stage.now += n.policy.renewDeadline;
    expect(stage.run(answerVote(n, { index: n.lease.index, candidate: 'c' })).kind).toBe('vote');
    expect(answerFailsafe(n, request)).toBe(false);
  });
  test('refuses another instance, another holder and another epoch', () => {
    const { n, request } = member();
    expect(answerFailsafe(n, { ...request, instance: 'copy' })).toBe(false);
    expect(answerFailsafe(n, { ...request, holder: 'c' })).toBe(false);
    expect(answerFailsafe(n, { ...request, epoch: 4 })).toBe(false);
  });
});
