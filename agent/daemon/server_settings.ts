/**
 * Does the server still take its settings? A line that it does not take, in agent.yaml or in the manager's
 * own files, is found when the server is started or told of a change: at a failover. So it is looked for
 * while nothing depends on it, and said in the status.
 */
import type { ConfigurationReport } from '../api/settings.ts';
import type { Logger } from '../log/log.ts';
import { sleep } from '../platform/clock.ts';
import type { Postgres } from '../roles/postgres/port.ts';

/** Milliseconds. A manager's own files may be changed at any time. */
const TIMES = { first: 5_000, well: 300_000, wrong: 30_000 };

export interface SettingsWatch {
  /**
   * The report, with what the server does not take. What could not be tried changes nothing that is known.
   */
  report(of: ConfigurationReport): ConfigurationReport;
  stop(): void;
}

export function watchSettings(
  pg: Pick<Postgres, 'rehearse'>,
  log: Pick<Logger, 'warn' | 'info'>,
  times: typeof TIMES = TIMES,
): SettingsWatch {
  const ended = new AbortController();
  let wrong: string | null = null;

  async function look(): Promise<void> {
    const tried = await pg.rehearse();
    const now = tried.kind === 'done' ? null : tried.refused === true ? tried.why : wrong;
    if (ended.signal.aborted || now === wrong) return;
    wrong = now;
    if (now === null) log.info('PostgreSQL accepts its settings again');
    else log.warn(`PostgreSQL would not start with its settings: ${now}`);
  }

  void (async () => {
    for (let ms = times.first; await sleep(ms, ended.signal); ms = wrong === null ? times.well : times.wrong)
      await look().catch(() => {});
  })();

  return {
    report(of) {
      if (wrong === null) return of;
      const what = `PostgreSQL would not start with its settings, nor accept a change to them: ${wrong}`;
      return {
        ...of,
        problems: [...of.problems, { what, next: "correct it there; 'agent doctor' checks it again" }],
      };
    },
    stop() {
      ended.abort();
      wrong = null;
    },
  };
}
