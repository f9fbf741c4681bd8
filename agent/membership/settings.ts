/** Does the server take what it is configured with? Asked before anything changes: one that does not start is of no use as a member. */
import type { Outcome } from '../core/postgres.ts';
import { AgentError } from '../errors.ts';
import type { Postgres } from '../roles/postgres/port.ts';

/** Throws operator `settings_refused`, which names file and key, or transient `settings_not_tried`. Changes nothing. */
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

/** With the data there is more to be seen: what libraries say, and settings that came with it. Throws transient `basebackup_failed` too. */
export async function refuseCopy(done: Outcome, pg: Pick<Postgres, 'rehearse'>): Promise<void> {
  if (done.kind === 'done') return await refuseSettings(pg);
  throw new AgentError({
    class: 'transient',
    code: 'basebackup_failed',
    message: `the database was not copied: ${done.why}`,
  });
}
