/** Is the database what the role says? From the facts the agent gathers anyway. */
import type { PgFacts } from '../core/postgres.ts';
import { type Check, type CheckResult, fail, pass, type Readers, skip } from './port.ts';

type Needs = Pick<Readers, 'role' | 'pgFacts' | 'activeHost'>;

/** Facts older than `maxAge` ms count as not known: the check then throws. */
export function postgresFollowing(readers: Needs, now: () => number, maxAge: number): Check {
  return {
    name: 'postgres_following',
    ofRole: true,
    async run(): Promise<CheckResult> {
      const role = readers.role();
      if (role === 'none') return skip('neither active nor standby');
      const seen = readers.pgFacts();
      if (seen === null || now() - seen.at > maxAge)
        throw new Error('the state of the database is not known');
      const { facts } = seen;
      if (facts.process !== 'running') return fail('the database is not running');
      if (facts.role === 'unknown') throw new Error('the database did not say whether it is a primary');
      return role === 'active' ? asActive(facts.role) : asStandby(facts, readers.activeHost());
    },
  };
}

const asActive = (role: 'primary' | 'standby'): CheckResult =>
  role === 'primary' ? pass('a primary') : fail('active, but its database is a standby');

function asStandby({ role, streaming, upstreamHost }: PgFacts, activeHost: string | null): CheckResult {
  if (role === 'primary') return fail('a standby, but its database is a primary');
  if (activeHost === null) return fail('no active to follow is known');
  if (upstreamHost !== activeHost)
    return fail(`follows ${upstreamHost ?? 'nobody'}, not the active at ${activeHost}`);
  return streaming
    ? pass(`streams from the active at ${activeHost}`)
    : fail(`does not stream from the active at ${activeHost}`);
}
