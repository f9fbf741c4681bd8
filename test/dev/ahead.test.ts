import { afterAll, beforeAll, expect, test } from 'bun:test';
import { expectNothingLost, underLoad } from './failover.scenario.ts';
import { eventually, TestCluster } from './harness.ts';

/**
 * Strict, one voter: the agent of the active stands still, its PostgreSQL goes on, and ends up ahead of the
 * voter that takes over (PROTOCOL D.6). Its PostgreSQL would be served up to the fork, and its tail be taken
 * for confirmations.
 */
let t: TestCluster;

beforeAll(async () => {
  t = await TestCluster.up({ preset: 'fast', options: { synchronous_mode: 'strict' } });
}, 240_000);

afterAll(async () => {
  await t?.down();
}, 60_000);

test('a former active ahead of its successor confirms nothing that it does not have, and is rewound', async () => {
  const from = await t.settled();
  const [to, third] = t.nodes.map(({ name }) => name).filter((name) => name !== from) as [string, string];
  await t.operationDone(from, await t.api(from).remove(third));
  await t.settled(60_000, [from, to]);
  await t.clientSql('CREATE TABLE tail (i int)');
  const ledger = t.ledger();
  try {
    await underLoad(ledger);
    t.signalAgent(from, 'SIGSTOP');
    const receives = () => t.sql(to, 'SELECT count(*) FROM pg_stat_wal_receiver').catch(() => '1');
    await eventually(`${to} is cut for its vote`, 60_000, async () => (await receives()) === '0');
    const ahead = 'SET synchronous_commit = local; INSERT INTO tail SELECT generate_series(1, 5000)';
    await t.sql(from, ahead);
    await eventually(`${to} is promoted`, 60_000, async () => {
      const recovery = await t.sql(to, 'SELECT pg_is_in_recovery()').catch(() => 't');
      return recovery === 'f';
    });
    const promoted = await ledger.mark();
    t.signalAgent(from, 'SIGCONT');
    await ledger.acknowledgedAfter(promoted, 120_000);
    const active = await t.settled(120_000, [from, to]);
    // Where a rewind takes long, the new active gives the lease back meanwhile, and the rewound one may have
    // it: without its tail.
    if (active === to) expect(await t.sql(from, 'SELECT pg_is_in_recovery()')).toBe('t');
    for (const name of [from, to]) expect(await t.sql(name, 'SELECT count(*) FROM tail')).toBe('0');
    await expectNothingLost(ledger, active);
  } finally {
    await ledger.close();
  }
}, 400_000);
