/**
 * PostgreSQL lets in by certificate who is a member, or is joining: the names in their records, and no other
 * name.
 */
import { AgentError } from '../errors.ts';
import type { Postgres } from '../roles/postgres/port.ts';
import type { LiveSecurity } from './live.ts';
import { type AdmittedNode, replicationNames } from './names.ts';

/** The last call of each node's, ended or not. */
const turns = new WeakMap<object, Promise<unknown>>();

/**
 * Gives PostgreSQL this node's certificate and the names. Nothing in a plain cluster. One after the other: a
 * renewal and a changed list come at once when members get names of their own, and of two at once PostgreSQL
 * takes the later and calls the earlier failed. Throws transient `certificates_not_set`.
 */
export function certifyPostgres(
  pg: Pick<Postgres, 'setCertificates'>,
  security: Pick<LiveSecurity, 'current' | 'taken'>,
  members: readonly string[],
): Promise<void> {
  const mine = (turns.get(security) ?? Promise.resolve()).then(() => certify(pg, security, members));
  turns.set(
    security,
    mine.catch(() => {}),
  );
  return mine;
}

async function certify(
  pg: Pick<Postgres, 'setCertificates'>,
  security: Pick<LiveSecurity, 'current' | 'taken'>,
  members: readonly string[],
): Promise<void> {
  const current = security.current();
  if (current === undefined) return;
  const done = await pg.setCertificates({ ...current.postgres, members });
  if (done.kind === 'done') return security.taken(current);
  throw new AgentError({
    class: 'transient',
    code: 'certificates_not_set',
    message: `PostgreSQL did not accept its certificates: ${done.why}`,
    hint: 'run the command again',
  });
}

/** For housekeeping's list of doors. */
export const postgresDoor = (pg: Pick<Postgres, 'setCertificates'>, security: LiveSecurity) => ({
  name: 'postgres',
  letIn: (admitted: Readonly<Record<string, AdmittedNode>>): Promise<void> =>
    certifyPostgres(pg, security, replicationNames(admitted)),
});
