/**
 * The manager's own database settings and rules: what a cluster would not keep of them, or its server would
 * not take.
 */
import { existsSync } from 'node:fs';
import type { Config } from '../config/resolve.ts';
import { clusterConf } from '../roles/postgres/conf.ts';
import { ownSettings as findingsOf } from '../roles/postgres/own_settings.ts';
import { postgresOptions } from '../roles/postgres_helper/driver.ts';
import { type Finding, warn } from './finding.ts';

export async function ownSettings(config: Config): Promise<Finding[]> {
  const named = { ...config, node_name: config.node_name ?? 'node', host_ip: config.host_ip ?? 'host_ip' };
  const options = postgresOptions(named);
  if (options === undefined) return [];
  const findings = await findingsOf(options);
  // In a cluster it runs, by what was decided then.
  if (!existsSync(clusterConf(options))) return findings;
  return findings.map((one) => (one.state === 'fail' ? warn(one.id, one.what, one.mend) : one));
}
