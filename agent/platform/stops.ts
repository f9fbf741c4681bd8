/** A stop outdates every start that was asked for before it; a later start waits until it is over. */
export interface Stops {
  /** Runs a stop at once, beside those under way. It is under way before its work begins. */
  stop<T>(work: () => Promise<T>): Promise<T>;
  /** As a stop that takes no time. */
  outdate(): void;
  /** To be taken when a start is asked for. It tells from then on whether a stop was asked for since. */
  asked(): () => boolean;
  underWay(): boolean;
  /** Resolves when the stops under way now have ended, well or not. */
  settled(): Promise<void>;
}

export function createStops(): Stops {
  let count = 0;
  const current = new Set<Promise<void>>();
  return {
    async stop(work) {
      count += 1;
      const { promise, resolve } = Promise.withResolvers<void>();
      current.add(promise);
      try {
        return await work();
      } finally {
        current.delete(promise);
        resolve();
      }
    },
    outdate() {
      count += 1;
    },
    asked() {
      const mine = count;
      return () => count !== mine;
    },
    underWay: () => current.size > 0,
    async settled() {
      await Promise.all(current);
    },
  };
}

/** Those of each name. */
export function stopsByName(): (name: string) => Stops {
  const all = new Map<string, Stops>();
  return (name) => {
    const stops = all.get(name) ?? createStops();
    all.set(name, stops);
    return stops;
  };
}
