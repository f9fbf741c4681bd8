/** The manager's own database settings and rules: what a cluster would not keep of them, or its server would not take. */

import { existsSync } from 'node:fs';
import type { Config } from '../config/resolve.ts';
import { dataVersion } from '../platform/paths.ts';
import { clusterConf } from '../roles/postgres/conf.ts';
import { examine } from '../roles/postgres/examine.ts';
import { postgresOptions } from '../roles/postgres_of.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

const ID = 'database_settings';

/** Nothing where there is no database, or none that this user may read: that is said already. */
export async function ownSettings(config: Config): Promise<Finding[]> {
  const named = { ...config, node_name: config.node_name ?? 'node', host_ip: config.host_ip ?? 'host_ip' };
  const options = postgresOptions(named);
  if (options === undefined || dataVersion(options.dataDir) === undefined) return [];
  const untried: string[] = [];
  const objections = await examine(options, (why) => untried.push(why)).catch((thrown: Error) => {
    untried.push(thrown.message);
    return [];
  });
  // In a cluster it runs, by what was decided then.
  const say = existsSync(clusterConf(options)) ? warn : fail;
  const findings = [
    ...objections.map(({ what, mend }) => say(ID, what, mend)),
    ...untried.map((why) =>
      warn(ID, `the manager's own settings could not be tried: ${why}`, 'run this as root'),
    ),
  ];
  return findings.length > 0
    ? findings
    : [ok(ID, "the manager's own settings and rules for clients can be kept")];
}
