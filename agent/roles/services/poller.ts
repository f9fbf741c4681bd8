import { alive } from '../../platform/procfs.ts';

/** Watches processes that are not our children, whose end no event tells. */
export interface ExitPoller {
  /** Calls `gone` once, when the process is no more. Returns how to give up watching. */
  watch(pid: number, startTime: number, gone: () => void): () => void;
  close(): void;
}

/**
 * Reads each process's state every `every` ms, with one timer for all and none when there is nothing to watch. One look
 * takes some 15 microseconds. (The kernel's pidfd, which would tell at once, is out of reach without native code.)
 */
export function exitPoller(every = 200): ExitPoller {
  const watched = new Map<symbol, { pid: number; startTime: number; gone: () => void }>();
  let timer: ReturnType<typeof setInterval> | undefined;

  const settle = () => {
    if (watched.size === 0 && timer) {
      clearInterval(timer);
      timer = undefined;
    }
  };
  const look = () => {
    for (const [key, { pid, startTime, gone }] of [...watched]) {
      if (alive(pid, startTime)) continue;
      watched.delete(key);
      gone();
    }
    settle();
  };

  return {
    watch(pid, startTime, gone) {
      const key = Symbol(String(pid));
      watched.set(key, { pid, startTime, gone });
      timer ??= setInterval(look, every);
      timer.unref();
      return () => {
        watched.delete(key);
        settle();
      };
    },
    close() {
      watched.clear();
      settle();
    },
  };
}
