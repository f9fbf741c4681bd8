/** Which checks stand behind which column of the table of managers. Those of `group: 'node'` are in none. */
import type { NodeRow } from '../api/types.ts';
import type { StateRecord } from '../core/records.ts';

type CheckColumn = keyof NodeRow['checks'];

export const COLUMN_CHECKS = {
  consul: ['consul'],
  services: ['services'],
  database: ['postgres_port', 'postgres_select', 'postgres_following', 'postgres_write'],
  heartbeat: ['heartbeat'],
  filesync: ['filesync'],
} as const satisfies Record<CheckColumn, readonly string[]>;

/**
 * The columns in which a check warns, by a node's own word; nothing when there is none, as in rows of agents
 * of before.
 */
export function warningsOf(state: StateRecord | undefined): Pick<NodeRow, 'warnings'> {
  const warns = (name: string) => state?.checks[name]?.warning === true;
  const columns = Object.keys(COLUMN_CHECKS) as CheckColumn[];
  const warnings = columns.filter((column) => COLUMN_CHECKS[column].some(warns));
  return warnings.length === 0 ? {} : { warnings };
}
