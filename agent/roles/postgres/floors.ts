/**
 * Settings that a standby must not have lower than the primary that wrote its WAL: it refuses to start. Where the
 * own configuration is behind, the values recorded in pg_control stand in for it.
 */
import { join } from 'node:path';
import { runOk } from '../../platform/process.ts';
import { mainConf } from './conf.ts';
import type { Control } from './control.ts';
import type { PgOptions } from './options.ts';

/** Names in pg_controldata and of the setting. */
export const floorNames: Readonly<Record<string, string>> = {
  max_connections: 'max_connections',
  max_worker_processes: 'max_worker_processes',
  max_wal_senders: 'max_wal_senders',
  max_prepared_xacts: 'max_prepared_transactions',
  max_locks_per_xact: 'max_locks_per_transaction',
};

/** What has to be raised, given what is configured; a setting that is high enough is left alone. */
export function floorsOf(
  control: Control,
  configured: Readonly<Record<string, number>>,
): Record<string, string> {
  const raised = Object.entries(control.floors).filter(([name, value]) => value > (configured[name] ?? 0));
  return Object.fromEntries(raised.map(([name, value]) => [name, String(value)]));
}

/** The values of these settings as the stopped server would read them, its own configuration files included. */
export async function configuredOf(o: PgOptions): Promise<Record<string, number>> {
  const values: Record<string, number> = {};
  for (const name of Object.values(floorNames)) {
    const args = ['-D', o.dataDir, '-c', `config_file=${mainConf(o)}`, '-C', name];
    const { stdout } = await runOk(join(o.binDir, 'postgres'), args, { deadline: 5000 });
    values[name] = Number(stdout.trim());
  }
  return values;
}
