import { managerKilled, postmasterKilled, underLoad } from '../dev/failover.scenario.ts';
import type { TestCluster } from '../dev/harness.ts';
import type { Ledger } from '../ledger/ledger.ts';

/** One event, measured some times over on a settled cluster under load. Times in ms. */
export interface Series {
  readonly name: string;
  readonly downtimes: number[];
}

type Event = (t: TestCluster, ledger: Ledger) => Promise<number>;

const switchover: Event = async (t, ledger) => {
  const from = await t.settled();
  const target = t.nodes.map(({ name }) => name).find((name) => name !== from) ?? from;
  const since = await underLoad(ledger);
  await t.switchTo(target);
  const again = await ledger.acknowledgedAfter(since, 30_000, target);
  return (await ledger.downtime(since, again)).ms;
};

/**
 * A second death within a minute is answered by a failover, by design. A restarted agent has forgotten the
 * first one (its restart touches nothing), so that each of these is a first one.
 */
const postmaster: Event = async (t, ledger) => {
  const active = await t.settled();
  await t.stopAgent(active);
  await t.startAgent(active);
  return postmasterKilled(t, ledger);
};

const manager: Event = async (t, ledger) => {
  const { from, downtime } = await managerKilled(t, ledger);
  await t.startAgent(from);
  await t.settled(120_000);
  return downtime;
};

export const EVENTS = { switchover, postmaster, manager } as const;
export type EventName = keyof typeof EVENTS;

export async function measure(
  t: TestCluster,
  ledger: Ledger,
  name: string,
  event: EventName,
  runs: number,
  progress: (line: string) => void,
): Promise<Series> {
  const downtimes: number[] = [];
  for (let run = 1; run <= runs; run++) {
    const downtime = await EVENTS[event](t, ledger);
    downtimes.push(downtime);
    progress(`${name}, run ${run} of ${runs}: ${(downtime / 1000).toFixed(3)} s`);
  }
  return { name, downtimes };
}
