/** Before `start` and `join` change anything: what `agent doctor` says of the database stands in the way of them, too. */

import { join } from 'node:path';
import type { Admission } from '../api/types.ts';
import type { NodeConfig } from '../config/index.ts';
import { AgentError } from '../errors.ts';
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
    message: `nothing was changed, for this database cannot be clustered as it is: ${wrong.map(({ what }) => what).join('; ')}`,
    hint: `${wrong.map(({ mend }) => mend).join('; ')}. 'agent doctor' looks again`,
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

/** The answer of the active with the version of its data: who joins compares it. */
export async function withMajor<T extends object>(
  pg: Pick<Postgres, 'inspect'>,
  answer: T,
): Promise<T & Pick<Admission, 'postgresMajor'>> {
  try {
    const { version } = await pg.inspect();
    return version === null ? answer : { ...answer, postgresMajor: version };
  } catch {
    return answer; // the joiner finds out when its copy does not start
  }
}
