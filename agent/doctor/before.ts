/**
 * A machine that install has not prepared yet: what it lacks, in the order in which it is mended. Changes
 * nothing.
 */
import { existsSync } from 'node:fs';
import { parseConfig } from '../config/load.ts';
import type { Config } from '../config/resolve.ts';
import { defaultConfig } from '../install/default_config.ts';
import { CONFIG_FILE } from '../install/names.ts';
import { realSight } from '../install/real_sight.ts';
import { database } from './database.ts';
import { type Finding, fail, ok, warn } from './finding.ts';
import { resources } from './machine.ts';
import { programs } from './programs.ts';
import { settings } from './settings.ts';

/** True for the place of the machine's own configuration, as long as nothing is there. */
export const notInstalled = (path: string): boolean => path === CONFIG_FILE && !existsSync(path);

function systemd(): Finding {
  if (existsSync('/run/systemd/system')) return ok('systemd', 'systemd runs this machine');
  const mend = "use a machine that boots with systemd; 'agent dev up' makes a cluster to try out on this one";
  return fail('systemd', 'systemd does not run this machine, and the agent is its unit', mend);
}

/** A manager that joins has no data yet: only one that starts a cluster must. */
async function data(config: Config): Promise<Finding[]> {
  if (existsSync(config.postgres.data_dir)) return await database(config);
  const what = `there is no ${config.postgres.data_dir}: right for a manager that joins; a manager that starts a cluster must have its database`;
  return [warn('data_directory', what, 'if it is elsewhere, set postgres.data_dir in agent.yaml')];
}

export async function beforeInstall(): Promise<Finding[]> {
  // What install would write: the same finds and the same defaults.
  const config = parseConfig(defaultConfig(realSight), CONFIG_FILE);
  return [
    systemd(),
    ...(await programs(config)),
    ...(await data(config)),
    ...(await settings(config)),
    ...resources(config),
    fail(
      'installed',
      `this manager is not prepared: there is no ${CONFIG_FILE}`,
      "fix what is wrong above, then run 'agent install' as root; 'agent install --dry-run' shows what it would do",
    ),
  ];
}
