/** Events of the life of a cluster, under load, as steps that tests, scenarios and the benchmark share. */
import type { Ledger } from '../ledger/ledger.ts';
import type { Cluster } from './cluster.ts';
import { until } from './host.ts';

export interface Change {
  readonly from: string;
  readonly to: string;
  /** The longest time without an acknowledged write anywhere, ms. */
  readonly downtime: number;
}

/** `active` acknowledges writes now; gives the moment. */
export async function underLoad(ledger: Ledger, active: string): Promise<number> {
  await ledger.acknowledgedAfter(await ledger.mark(), 30_000, active);
  return ledger.mark();
}

/** Waits until another VM than `from` is active and has acknowledged a write sent after `since`. */
export async function takenOver(
  cluster: Cluster,
  ledger: Ledger,
  from: string,
  since: number,
  timeout = 45_000,
): Promise<Change> {
  const to = await until(`another active than ${from}`, timeout, async () => {
    const active = (await cluster.status())?.active;
    return active && active !== from ? active : undefined;
  });
  const again = await ledger.acknowledgedAfter(since, 30_000, to);
  return { from, to, downtime: (await ledger.downtime(since, again)).ms };
}

/** Does `what` to the active and waits for its successor. */
export async function lose(
  cluster: Cluster,
  ledger: Ledger,
  what: (active: string) => Promise<void> | void,
): Promise<Change> {
  const from = await cluster.settled();
  const since = await underLoad(ledger, from);
  await what(from);
  return takenOver(cluster, ledger, from, since);
}

export const powerCutActive = (cluster: Cluster, ledger: Ledger): Promise<Change> =>
  lose(cluster, ledger, (active) => cluster.lab.node(active).powerCut());

export const cutOffActive = (cluster: Cluster, ledger: Ledger): Promise<Change> =>
  lose(cluster, ledger, (active) => cluster.lab.cutOff(active));

export const freezeActive = (cluster: Cluster, ledger: Ledger): Promise<Change> =>
  lose(cluster, ledger, (active) => cluster.lab.node(active).freeze());

export async function switchover(cluster: Cluster, ledger: Ledger, to: string): Promise<Change> {
  const from = await cluster.settled();
  const since = await underLoad(ledger, from);
  await cluster.agent(to, ['cluster', 'set-active', to, '--timeout', '60'], 70_000);
  const again = await ledger.acknowledgedAfter(await ledger.mark(), 30_000, to);
  return { from, to, downtime: (await ledger.downtime(since, again)).ms };
}

export interface Account {
  readonly acknowledged: number;
  readonly lost: readonly string[];
  readonly phantoms: readonly string[];
  /** Moments with two writable VMs. */
  readonly overlaps: number;
}

/** Ends the ledger's writing and compares it with the active's database. */
export async function account(cluster: Cluster, ledger: Ledger): Promise<Account> {
  await ledger.stopWriting();
  const { acknowledged, lost, phantoms } = await ledger.balance((await cluster.active()).id);
  return { acknowledged, lost, phantoms, overlaps: (await ledger.overlaps()).length };
}
