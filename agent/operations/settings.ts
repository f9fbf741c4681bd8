/** Does the server take what it is configured with? Asked before anything changes: one that does not start is of no use as a member. */
import { AgentError } from '../errors.ts';
import type { Postgres } from '../roles/postgres/port.ts';

/** Throws operator `settings_refused`, which names file and key. Changes nothing. */
export async function refuseSettings(pg: Pick<Postgres, 'rehearse'>): Promise<void> {
  const tried = await pg.rehearse();
  if (tried.kind === 'done') return;
  throw new AgentError({
    class: 'operator',
    code: 'settings_refused',
    message: `PostgreSQL would not start with its settings. ${tried.why}`,
    hint: "correct them there, or leave them out; 'agent doctor' tries them too",
  });
}
