/** PostgreSQL lets in by certificate who is a member, or is joining: the names in their records, and no other name. */
import type { NodeRecord } from '../core/records.ts';
import { AgentError } from '../errors.ts';
import type { Postgres } from '../roles/postgres/port.ts';
import type { LiveSecurity } from './live.ts';

/** Common names of the certificates that count now. */
export const certificateNames = (admitted: Readonly<Record<string, NodeRecord>>): string[] =>
  Object.values(admitted)
    .flatMap(({ certificate }) => (certificate === undefined ? [] : [certificate.name]))
    .sort();

/** Gives PostgreSQL this node's certificate and the names. Nothing in a plain cluster. Throws transient `certificates_not_set`. */
export async function certifyPostgres(
  pg: Pick<Postgres, 'setCertificates'>,
  security: LiveSecurity,
  members: readonly string[],
): Promise<void> {
  const current = security.current();
  if (current === undefined) return;
  const done = await pg.setCertificates({ ...current.postgres, members });
  if (done.kind === 'done') return;
  throw new AgentError({
    class: 'transient',
    code: 'certificates_not_set',
    message: `PostgreSQL did not take its certificates: ${done.why}`,
    hint: 'run the command again',
  });
}

/** For housekeeping's list of doors. */
export const postgresDoor = (pg: Pick<Postgres, 'setCertificates'>, security: LiveSecurity) => ({
  name: 'postgres',
  letIn: (admitted: Readonly<Record<string, NodeRecord>>): Promise<void> =>
    certifyPostgres(pg, security, certificateNames(admitted)),
});
