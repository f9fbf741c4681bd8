/** Telling systemd that this process is up, well and stopping (Type=notify, WatchdogSec=). */
import process from 'node:process';
import { type RunOptions, type RunResult, run } from './process.ts';

export interface Notifier {
  /**
   * Says that a stop is under way, and ends the watchdog's signs of life. Resolves also when systemd cannot
   * be told.
   */
  stopping(): Promise<void>;
}

export interface NotifyOptions {
  /**
   * Asked for each sign of life: false lets systemd's watchdog end this process. So it must be true exactly
   * while the main loop and the lease keeper go round.
   */
  readonly healthy: () => boolean;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly pid?: number;
  readonly run?: (command: string, args: readonly string[], options: RunOptions) => Promise<RunResult>;
  readonly every?: (ms: number, tick: () => void) => () => void;
}

/** Milliseconds. */
const DEADLINE = 5_000;
/** Signs of life within one watchdog time: one may get lost. */
const SIGNS = 3;

const interval = (ms: number, tick: () => void): (() => void) => {
  const timer = setInterval(tick, ms);
  timer.unref();
  return () => clearInterval(timer);
};

/**
 * Says READY=1 now and WATCHDOG=1 three times per watchdog time, through the program systemd-notify (the unit
 * needs NotifyAccess=all), because node has no Unix datagrams. Measured on Debian 12: 5.4 ms of CPU per call,
 * which with WatchdogSec=10 is 0.16 % of a core. Does nothing where no systemd asked for it.
 */
export function startNotify(options: NotifyOptions): Notifier {
  const { healthy, env = process.env, pid = process.pid, every = interval } = options;
  const { run: start = run } = options;
  if (!env.NOTIFY_SOCKET) return { stopping: async () => {} };

  const tell = async (...words: string[]): Promise<void> => {
    await start('systemd-notify', words, { deadline: DEADLINE, env: { ...env } }).catch(() => {});
  };
  const watchdog = Number(env.WATCHDOG_USEC) / 1000;
  const meant = env.WATCHDOG_PID === undefined || Number(env.WATCHDOG_PID) === pid;
  let under = false;
  const sign = async () => {
    // One at a time: under load they must not pile up.
    if (under || !healthy()) return;
    under = true;
    await tell('WATCHDOG=1');
    under = false;
  };
  const end = watchdog > 0 && meant ? every(watchdog / SIGNS, () => void sign()) : () => {};
  void tell('--ready', `--pid=${pid}`);
  return {
    async stopping() {
      end();
      await tell('STOPPING=1');
    },
  };
}
