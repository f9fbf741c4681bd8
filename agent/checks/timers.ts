/** Timers, as the scheduler gets them: the real ones, or a test's on virtual time. */
export interface Timers {
  /**
   * Calls `callback` once, `ms` from now. Returns how to call it off; calling off what has happened does
   * nothing.
   */
  after(ms: number, callback: () => void): () => void;
}

export const systemTimers: Timers = {
  after(ms, callback) {
    const timer = setTimeout(callback, Math.max(0, ms));
    return () => clearTimeout(timer);
  },
};
