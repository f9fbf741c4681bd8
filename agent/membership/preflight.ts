/**
 * Before `start` and `join` change anything: what `agent doctor` says of the database stands in the way of
 * them, too.
 */

import { join } from 'node:path';
import type { Admission } from '../api/types.ts';
import type { NodeConfig } from '../config/index.ts';
import type { Outcome } from '../core/postgres.ts';
import { AgentError } from '../errors.ts';
import type { Parts } from '../node/parts.ts';
import type { Finding } from '../platform/finding.ts';
import { postgresBinDir } from '../platform/paths.ts';
import { run } from '../platform/process.ts';
import type { Postgres } from '../roles/postgres/port.ts';

/** Throws operator `database_unfit` with everything that is wrong. Returns what is to know. */
export function refuseUnfit(findings: readonly Finding[]): string[] {
  const wrong = findings.filter(({ state }) => state === 'fail');
  if (wrong.length === 0) return findings.filter(({ state }) => state === 'warn').map(({ what }) => what);
  throw new AgentError({
    class: 'operator',
    code: 'database_unfit',
    message: `nothing was changed; this database cannot be clustered as it is: ${wrong.map(({ what }) => what).join('; ')}`,
    hint: `${wrong.map(({ mend }) => mend).join('; ')}. 'agent doctor' checks it again`,
  });
}

/** A copy of another version starts nowhere. The active of an agent of before says nothing of its own. */
export async function refuseOtherVersion(config: NodeConfig, admission: Admission): Promise<Admission> {
  const { postgresMajor } = admission;
  const dir = postgresBinDir(config);
  if (postgresMajor === undefined || dir === undefined) return admission;
  const ran = await run(join(dir, 'postgres'), ['--version'], { deadline: 5000 }).catch(() => undefined);
  const own = Number(/(\d+)/.exec(ran?.stdout ?? '')?.[1]);
  if (own === postgresMajor) return admission;
  throw new AgentError({
    class: 'operator',
    code: 'postgres_version_differs',
    message: `the cluster's database is of PostgreSQL ${postgresMajor}, ${dir} is of ${Number.isNaN(own) ? 'none' : own}`,
    hint: `install PostgreSQL ${postgresMajor} here, or set postgres.bin_dir to it`,
  });
}

/**
 * A server opens no database whose locale its machine lacks. What cannot be tried is no reason to refuse: an
 * active of before says nothing of its own, either.
 */
export async function refuseMissingLocales(
  pg: Pick<Postgres, 'missingLocales'>,
  admission: Admission,
): Promise<Admission> {
  const { locales = [] } = admission;
  const missing = locales.length === 0 ? [] : await pg.missingLocales(locales).catch(() => []);
  if (missing.length === 0) return admission;
  const one = missing[0] ?? '';
  throw new AgentError({
    class: 'operator',
    code: 'locales_missing',
    message: `the cluster's databases are sorted by locales that this machine lacks: ${missing.join(', ')}`,
    hint: `make them here with 'dpkg-reconfigure locales' ('locale -a' lists what is there; ${one} has to be in it), and join again`,
  });
}

/**
 * The answer of the active with the version of its data, and what that is sorted by: who joins compares it.
 */
export async function withData<T extends object>(
  pg: Pick<Postgres, 'inspect'>,
  answer: T,
): Promise<T & Pick<Admission, 'postgresMajor' | 'locales'>> {
  try {
    const { version, locales } = await pg.inspect();
    return {
      ...answer,
      ...(version === null ? {} : { postgresMajor: version }),
      ...(locales === undefined ? {} : { locales }),
    };
  } catch {
    return answer; // the joiner finds out when its copy does not start
  }
}

/** Refuses a manager that is not empty, or where no copy could be put. Changes nothing. */
export async function refuseUnlessEmpty({ config, pg }: Pick<Parts, 'config' | 'pg'>): Promise<void> {
  const { empty, unfit } = await pg.inspect();
  if (empty && unfit === undefined) return;
  const there = `this manager is not empty: there is data in ${config.postgres.data_dir}`;
  throw new AgentError({
    class: 'operator',
    code: unfit === undefined ? 'manager_not_empty' : 'data_dir_unfit',
    message: unfit === undefined ? there : `no database can be copied here: ${unfit}`,
    hint: 'join a manager without data; what is here would be lost. Move it away first if it can be given up',
  });
}

/**
 * Throws operator `settings_refused`, which names file and key, or transient `settings_not_tried`. Changes
 * nothing.
 */
export async function refuseSettings(pg: Pick<Postgres, 'rehearse'>): Promise<void> {
  const tried = await pg.rehearse();
  if (tried.kind === 'done') return;
  if (tried.refused !== true)
    throw new AgentError({
      class: 'transient',
      code: 'settings_not_tried',
      message: `whether PostgreSQL would start with its settings is not known: ${tried.why}`,
      hint: 'run the same command again',
    });
  throw new AgentError({
    class: 'operator',
    code: 'settings_refused',
    message: `PostgreSQL would not start with its settings. ${tried.why}`,
    hint: "correct them there, or leave them out; 'agent doctor' tries them too",
  });
}

/**
 * With the data there is more to be seen: what libraries say, and settings that came with it. Throws
 * transient `basebackup_failed` too.
 */
export async function refuseCopy(done: Outcome, pg: Pick<Postgres, 'rehearse'>): Promise<void> {
  if (done.kind === 'done') return await refuseSettings(pg);
  throw new AgentError({
    class: 'transient',
    code: 'basebackup_failed',
    message: `the database was not copied: ${done.why}`,
  });
}
