import { expect } from 'bun:test';
import { nodeProcesses, signalProcess } from '../../cli/dev/processes.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { eventually, type TestCluster } from './harness.ts';

/** Failovers under load, as steps that several test files and the demo share. */

/** A write is acknowledged now; gives the moment. */
export async function underLoad(ledger: Ledger): Promise<number> {
  const since = await ledger.mark();
  await ledger.acknowledgedAfter(since, 30_000);
  return ledger.mark();
}

/**
 * Nothing acknowledged is missing on `active`, and no two nodes ever acknowledged at once. Ends the ledger's
 * writing.
 */
export async function expectNothingLost(ledger: Ledger, active: string): Promise<void> {
  await ledger.stopWriting();
  expect(await ledger.balance(active)).toMatchObject({ lost: [], phantoms: [] });
  expect(await ledger.overlaps()).toEqual([]);
}

/**
 * Kills the active's postmaster. It is started again in place: no role change, whose downtime is returned.
 */
export async function postmasterKilled(t: TestCluster, ledger: Ledger): Promise<number> {
  const active = await t.settled();
  const epoch = (await t.status())?.epoch;
  const since = await underLoad(ledger);
  t.killPostmaster(active);
  const again = await ledger.acknowledgedAfter(await ledger.mark(), 30_000);
  expect(await t.settled()).toBe(active);
  expect((await t.status())?.epoch).toBe(epoch as number);
  return (await ledger.downtime(since, again)).ms;
}

export interface Failover {
  readonly from: string;
  readonly to: string;
  readonly downtime: number;
}

/** Waits until another node than `from` is active and has acknowledged a write sent after `since`. */
export async function takenOver(
  t: TestCluster,
  ledger: Ledger,
  from: string,
  since: number,
): Promise<Failover> {
  const others = t.nodes.map(({ name }) => name).filter((name) => name !== from);
  const found = await eventually(`another active than ${from}`, 45_000, async () => {
    const active = (await t.status())?.active;
    return active !== null && active !== undefined && others.includes(active) && active;
  });
  const again = await ledger.acknowledgedAfter(since, 30_000, found);
  return { from, to: found, downtime: (await ledger.downtime(since, again)).ms };
}

/** Ends everything the active manager runs, at once. */
export async function managerKilled(t: TestCluster, ledger: Ledger): Promise<Failover> {
  const from = await t.settled();
  const since = await underLoad(ledger);
  await t.killManager(from);
  return takenOver(t, ledger, from, since);
}

/**
 * Rows on the active that no standby has: its walsenders are stopped, so that what is committed locally never
 * leaves the machine. The caller must kill the manager next.
 */
export async function divergedWrites(t: TestCluster, active: string, rows: number): Promise<void> {
  const senders = await t.sql(active, 'SELECT pid FROM pg_stat_replication');
  const pids = new Set(senders.split('\n').map(Number));
  for (const stat of nodeProcesses(t.node(active))) if (pids.has(stat.pid)) signalProcess(stat, 'SIGSTOP');
  await t.sql(
    active,
    `SET synchronous_commit = local; INSERT INTO deployments (name) SELECT 'lost ' || n FROM generate_series(1, ${rows}) n`,
  );
}
