/**
 * Passwords are looked at one at a time in this process: each takes 128 MB and a core. Known users go before
 * strangers.
 */

/** Waiting in each line. Past that, one is told to come back, and the agent keeps its time. */
const WAITING = 8;
/** Of one network in the strangers' line, so that one guesser leaves room in it. */
const OF_ONE = 3;

type Job = { network: string; go: () => void };

export interface OneAtATime {
  /** Undefined, and `work` is not done: the line is full. Rejects as `work` does. */
  run<T>(network: string, known: boolean, work: () => Promise<T>): Promise<T> | undefined;
}

export function oneAtATime(): OneAtATime {
  const familiar: Job[] = [];
  const strangers: Job[] = [];
  let busy = false;

  const next = () => {
    const job = familiar.shift() ?? strangers.shift();
    busy = job !== undefined;
    job?.go();
  };

  return {
    run(network, known, work) {
      const line = known ? familiar : strangers;
      const own = line.filter((job) => job.network === network).length;
      if (line.length >= WAITING || (!known && own >= OF_ONE)) return undefined;
      const done = new Promise<void>((go) => line.push({ network, go })).then(work).finally(next);
      if (!busy) next();
      return done;
    },
  };
}
