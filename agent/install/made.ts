/**
 * Which users and groups install made: those that were there before are the manager's, and uninstall leaves
 * them.
 */
import { join } from 'node:path';
import * as v from 'valibot';
import { ROOT_STATE_DIR } from '../trampoline/names.ts';
import type { Change } from './diff.ts';
import type { Machine, Sight } from './machine.ts';
import { folder, rootFile } from './wanted.ts';

export const MADE_FILE = join(ROOT_STATE_DIR, 'made.json');

const madeSchema = v.object({ users: v.array(v.string()), groups: v.array(v.string()) });
export type Made = v.InferOutput<typeof madeSchema>;

export function madeBefore(sight: Sight): Made {
  const text = sight.read(MADE_FILE);
  return text === undefined ? { users: [], groups: [] } : v.parse(madeSchema, JSON.parse(text));
}

/** Written before they are made: an install that is interrupted knows them the next time. */
export async function noteMade(changes: readonly Change[], machine: Machine): Promise<void> {
  const before = madeBefore(machine);
  const names = (kind: 'user' | 'group') =>
    changes.flatMap(({ wanted }) => (wanted.kind === kind ? [wanted.name] : []));
  const users = [...new Set([...before.users, ...names('user')])];
  const groups = [...new Set([...before.groups, ...names('group')])];
  if (users.length === before.users.length && groups.length === before.groups.length) return;
  await machine.make(folder(ROOT_STATE_DIR, 'root', 'root', 0o700));
  await machine.make(rootFile(MADE_FILE, `${JSON.stringify({ users, groups })}\n`, 0o600));
}
