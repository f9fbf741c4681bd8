/** What examine.ts objects to, as findings: for `agent doctor` and for start. */
import { type Finding, fail, ok, warn } from '../../platform/finding.ts';
import { dataVersion } from '../../platform/paths.ts';
import { examine } from './examine.ts';
import type { PgOptions } from './options.ts';

/**
 * Never throws. Nothing where there is no database, or none that this user may read: that is said elsewhere.
 */
export async function ownSettings(o: Omit<PgOptions, 'starter'>): Promise<Finding[]> {
  if (dataVersion(o.dataDir) === undefined) return [];
  const untried: string[] = [];
  const objections = await examine(o, (why) => untried.push(why)).catch((thrown: Error) => {
    untried.push(thrown.message);
    return [];
  });
  const findings = [
    ...objections.map(({ what, mend, unreadable }) =>
      fail(unreadable ? 'postgres_settings' : 'database_settings', what, mend),
    ),
    ...untried.map((why) =>
      warn('database_settings', `the manager's own settings could not be tried: ${why}`, 'run this as root'),
    ),
  ];
  if (findings.length > 0) return findings;
  return [ok('database_settings', "the manager's own settings and rules for clients can be kept")];
}
