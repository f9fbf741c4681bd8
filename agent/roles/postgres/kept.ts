/**
 * Settings of the manager's own that stay where they are more than the agent needs: logical slots live on them, and a server with
 * slots that its settings do not allow does not start.
 */
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { run } from '../../platform/process.ts';
import { readControl } from './control.ts';
import type { PgOptions } from './options.ts';

/** What the agent needs at least. */
export const least = { wal_level: 'replica', max_wal_senders: '20', max_replication_slots: '20' } as const;

const isMore = (name: string, value: string): boolean =>
  name === 'wal_level' ? value === 'logical' : Number(value) > Number(least[name as keyof typeof least]);

type Own = Pick<PgOptions, 'binDir' | 'dataDir' | 'originalConfig'>;

export const ownConfig = (o: Own): string => o.originalConfig ?? join(o.dataDir, 'postgresql.conf');

/** A program as the owner of the data, which root becomes for it: the server's programs refuse root. */
export async function asOwner({ dataDir }: Pick<PgOptions, 'dataDir'>, argv: string[]): Promise<string[]> {
  if (process.getuid?.() !== 0) return argv;
  const { uid, gid } = await stat(dataDir);
  return ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--', ...argv];
}

/** As the manager's own files and ALTER SYSTEM have it; null where there are none. Throws what the server says against them. */
export async function ownSetting(o: Own, name: string): Promise<string | null> {
  const own = ownConfig(o);
  if (!existsSync(own)) return null;
  const args = ['-D', o.dataDir, '-c', `config_file=${own}`, '-C', name];
  const [program = '', ...rest] = await asOwner(o, [join(o.binDir, 'postgres'), ...args]);
  const read = await run(program, rest, { deadline: 20_000, cwd: '/' });
  if (read.code === 0) return read.stdout.trim();
  throw new Error(
    read.stderr.trim().split('\n').slice(-3).join('; ') || 'the server does not read it in time',
  );
}

/** `before`: what an interrupted start had found already. Throws where the files cannot be read. */
export async function keptOf(
  o: Own,
  before: Readonly<Record<string, string>> = {},
): Promise<Record<string, string>> {
  const kept: Record<string, string> = { ...before };
  for (const name of Object.keys(least)) {
    const value = await ownSetting(o, name);
    if (value !== null && isMore(name, value)) kept[name] = value;
  }
  return kept;
}

/** A copy goes on as the data that it is of; pg_control tells. */
export async function keptOfCopy(
  o: PgOptions,
  before: Readonly<Record<string, string>> = {},
): Promise<Readonly<Record<string, string>>> {
  if (before.wal_level === 'logical') return before;
  const level = await readControl(o).then(
    (control) => control.walLevel,
    () => null, // the server says it better
  );
  return level === 'logical' ? { ...before, wal_level: level } : before;
}
