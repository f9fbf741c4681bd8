/** Several jobs at a time, and no more than the machine can take. */
import { cpus } from 'node:os';

/** Long enough for what was begun last to show. */
const LOOK_MS = 5000;
/** Of the processors. Past this what runs gets slower by whatever is begun beside it. */
const FULL = 0.6;

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

type Times = { idle: number; nice: number; busy: number };
const timesNow = (): Times =>
  cpus().reduce(
    (sum, { times }) => ({
      idle: sum.idle + times.idle,
      nice: sum.nice + times.nice,
      busy: sum.busy + times.user + times.sys + times.irq,
    }),
    { idle: 0, nice: 0, busy: 0 },
  );

/** How much of the processors is in use, 0 to 1; what gives way (`nice`) is not counted. */
async function inUse(): Promise<number> {
  const before = timesNow();
  await sleep(LOOK_MS);
  const after = timesNow();
  const [idle, nice, busy] = (['idle', 'nice', 'busy'] as const).map((key) => after[key] - before[key]);
  const all = (idle ?? 0) + (nice ?? 0) + (busy ?? 0);
  return all === 0 ? 1 : (busy ?? 0) / all;
}

export type Lanes = {
  /** So many jobs at a time, whatever the machine does. */
  always: number;
  /** So many while there is room for more. */
  most: number;
};

/** Begins the jobs in their order. `used`: for a test of this. */
export async function drain<Job>(
  jobs: readonly Job[],
  { always, most }: Lanes,
  work: (job: Job) => Promise<void>,
  used: () => Promise<number> = inUse,
): Promise<void> {
  const queue = [...jobs];
  async function lane(number: number): Promise<void> {
    while (queue.length > 0) {
      if (number > always && (await used()) > FULL) {
        await sleep(100);
        continue;
      }
      const job = queue.shift();
      if (job !== undefined) await work(job);
    }
  }
  await Promise.all(Array.from({ length: most }, (_, index) => lane(index + 1)));
}
