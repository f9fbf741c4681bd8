import { afterAll, beforeAll, expect, test } from 'bun:test';
import { freezeNode, thaw } from '../fixtures/dev.ts';
import { expectNothingLost, takenOver, underLoad } from './failover.scenario.ts';
import { TestCluster } from './harness.ts';

let t: TestCluster;

beforeAll(async () => {
  t = await TestCluster.up({ preset: 'fast' });
}, 180_000);

afterAll(async () => {
  await t?.down();
}, 60_000);

test('an agent stopped past its lease is succeeded; its PostgreSQL, left unfenced, acknowledges nothing more', async () => {
  const ledger = t.ledger();
  try {
    const from = await t.settled();
    const since = await underLoad(ledger);
    t.signalAgent(from, 'SIGSTOP');
    const { to } = await takenOver(t, ledger, from, since);
    const voted = await ledger.mark();
    t.signalAgent(from, 'SIGCONT');
    expect(await t.settled(90_000)).toBe(to);
    const late = (await ledger.attempts()).filter(
      ({ node, outcome, sent }) => node === from && outcome === 'acknowledged' && sent > voted,
    );
    expect(late).toEqual([]);
    expect((await ledger.reigns(since)).map(({ node }) => node)).toEqual([from, to]);
    await expectNothingLost(ledger, to);
  } finally {
    await ledger.close();
  }
}, 180_000);

test('a manager frozen whole and thawed again acknowledges nothing after the vote, and comes back as a standby', async () => {
  const ledger = t.ledger();
  try {
    const from = await t.settled();
    const since = await underLoad(ledger);
    const frozen = freezeNode(t.node(from));
    try {
      const { to } = await takenOver(t, ledger, from, since);
      const voted = await ledger.mark();
      await ledger.acknowledgedAfter(voted + 500, 10_000, to);
      thaw(frozen);
      expect(await t.settled(90_000)).toBe(to);
      const late = (await ledger.attempts()).filter(
        ({ node, outcome, answered }) => node === from && outcome === 'acknowledged' && answered > voted,
      );
      expect(late).toEqual([]);
      expect(await t.sql(from, 'SELECT pg_is_in_recovery()')).toBe('t');
      await expectNothingLost(ledger, to);
    } finally {
      thaw(frozen);
    }
  } finally {
    await ledger.close();
  }
}, 180_000);
