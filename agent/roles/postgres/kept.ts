/**
 * Settings of the manager's own that stay where they are more than the agent needs: logical slots live on
 * them, and a server with slots that its settings do not allow does not start.
 */
import { existsSync } from 'node:fs';
import { askServer } from './asked.ts';
import { readControl } from './control.ts';
import type { PgOptions } from './options.ts';
import { originalConf } from './originals.ts';

/** What the agent needs at least. */
export const least = { wal_level: 'replica', max_wal_senders: '20', max_replication_slots: '20' } as const;

const isMore = (name: string, value: string): boolean =>
  name === 'wal_level' ? value === 'logical' : Number(value) > Number(least[name as keyof typeof least]);

/**
 * Of the stopped server as its own configuration and ALTER SYSTEM have it; `before`: what an interrupted
 * start had found already. What cannot be read is thrown: the server would come up without what its slots
 * need, or not at all.
 */
export async function keptOf(
  o: PgOptions,
  before: Readonly<Record<string, string>> = {},
): Promise<Record<string, string>> {
  const own = originalConf(o);
  if (own === null || !existsSync(own)) return { ...before };
  const kept: Record<string, string> = { ...before };
  for (const name of Object.keys(least)) {
    const said = await askServer({ binDir: o.binDir, name, dataDir: o.dataDir, configFile: own, ms: 20_000 });
    if ('refused' in said) throw new Error(`${own}: ${said.refused.join('; ')}`);
    if (isMore(name, said.value)) kept[name] = said.value;
  }
  return kept;
}

/** A copy goes on as the data that it is of; pg_control tells. */
export async function keptOfCopy(o: PgOptions, before: Readonly<Record<string, string>> = {}) {
  if (before.wal_level === 'logical') return before;
  const level = await readControl(o).then(
    (control) => control.walLevel,
    () => null, // the server says it better
  );
  return level === 'logical' ? { ...before, wal_level: level } : before;
}
