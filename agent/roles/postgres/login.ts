import { messageOf } from '../../errors.ts';
import { sqlState } from './sql.ts';

/** What refuses the agent's own login however often it tries: no such role or database, or a rule of somebody's. Null: anything else. */
export function loginProblem(error: unknown): string | null {
  if (!/^(28|3D)/.test(sqlState(error) ?? '')) return null;
  return `the agent cannot log in: ${messageOf(error)}`;
}
