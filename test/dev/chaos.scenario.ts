import process from 'node:process';
import { freezeNode, thaw } from '../fixtures/dev.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { expectNothingLost } from './failover.scenario.ts';
import type { TestCluster } from './harness.ts';

/**
 * Faults at random, from a seed, on a running cluster. Timing is the machine's, so a seed repeats the plan,
 * not the run.
 */

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** A small linear congruential generator: 0 <= x < 1. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

type Random = () => number;
type Fault = (t: TestCluster, name: string, random: Random) => Promise<void>;

/** Each leaves the node as it found it, except for what the cluster itself must mend. */
export const FAULTS: Readonly<Record<string, Fault>> = {
  async switchover(t, name, random) {
    const from = await t.activeName();
    const others = t.nodes.filter((node) => node.name !== from);
    const target = others[Math.floor(random() * others.length)]?.name ?? name;
    // Refused when the target is not fit just now: that is an answer, too.
    await t
      .api(from)
      .setActive(target, 30_000)
      .catch(() => {});
  },
  async postmaster(t, name) {
    try {
      t.killPostmaster(name);
    } catch {
      // Dead already.
    }
  },
  async manager(t, name, random) {
    await t.killManager(name);
    await sleep(random() * 8000);
    await t.startAgent(name);
  },
  async agent(t, name, random) {
    t.signalAgent(name, 'SIGKILL');
    await sleep(100 + random() * 6000);
    await t.startAgent(name);
  },
  async agentStopped(t, name, random) {
    t.signalAgent(name, 'SIGSTOP');
    await sleep(random() * 8000);
    t.signalAgent(name, 'SIGCONT');
  },
  async frozen(t, name, random) {
    const all = freezeNode(t.node(name));
    await sleep(random() * 9000);
    thaw(all);
  },
  async consul(t, name) {
    const [pid] = t.pids(name, 'consul');
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
  },
};

/** One fault, sometimes a second one elsewhere while the first lasts; then everything must be well again. */
async function round(
  t: TestCluster,
  ledger: Ledger,
  random: Random,
  say: (line: string) => void,
): Promise<void> {
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const names = t.nodes.map(({ name }) => name);
  const first = random() < 0.5 ? await t.activeName() : pick(names);
  const kind = pick(Object.keys(FAULTS));
  const plan: (readonly [string, string])[] = [[kind, first]];
  if (random() < 0.3) plan.push([pick(Object.keys(FAULTS)), pick(names.filter((name) => name !== first))]);
  say(plan.map(([fault, name]) => `${fault} ${name}`).join(' and '));
  await Promise.all(
    plan.map(async ([fault, name], index) => {
      await sleep(index * random() * 2000);
      await FAULTS[fault]?.(t, name, random);
    }),
  );
  const since = await ledger.mark();
  await t.settled(120_000);
  await ledger.acknowledgedAfter(since, 60_000);
  await sleep(random() * 1500);
}

/**
 * Rounds for `ms`; then nothing acknowledged may be missing, and never two nodes have written. Returns how
 * many.
 */
export async function chaos(
  t: TestCluster,
  seed: number,
  ms: number,
  say: (line: string) => void = () => {},
): Promise<number> {
  const random = generator(seed);
  const ledger = t.ledger();
  const end = performance.now() + ms;
  let rounds = 0;
  try {
    while (performance.now() < end) {
      await round(t, ledger, random, say);
      rounds += 1;
    }
    await sleep(1000);
    await expectNothingLost(ledger, await t.settled(60_000));
    return rounds;
  } finally {
    await ledger.close();
  }
}
