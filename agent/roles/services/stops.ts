/** Which services are being stopped, so that a start neither overtakes a stop nor is killed by its clean-up. */
export interface StopTracker {
  /** Runs a stop at once, beside those under way. */
  track(name: string, stop: () => Promise<void>): Promise<void>;
  underWay(name: string): boolean;
  /** Resolves when the stops under way now have ended, well or not. */
  settled(name: string): Promise<void>;
  /** How many stops were ever asked for: a start that sees it rise while it waits is out of date. */
  count(name: string): number;
}

export function stopTracker(): StopTracker {
  const current = new Map<string, Set<Promise<void>>>();
  const counts = new Map<string, number>();

  return {
    async track(name, stop) {
      counts.set(name, (counts.get(name) ?? 0) + 1);
      const all = current.get(name) ?? new Set();
      current.set(name, all);
      // Begun a moment later, so that it is counted as under way before its process can be seen to end.
      const running = Promise.resolve().then(stop);
      all.add(running);
      try {
        await running;
      } finally {
        all.delete(running);
      }
    },
    underWay: (name) => (current.get(name)?.size ?? 0) > 0,
    async settled(name) {
      await Promise.allSettled(current.get(name) ?? []);
    },
    count: (name) => counts.get(name) ?? 0,
  };
}
