/** pg_hba.conf, fenced and open. The first line that matches a connection decides; no line is a refusal. */

import { PRIVATE, writeDurably } from '../../platform/files.ts';
import { hbaFile } from './conf.ts';
import type { PgOptions } from './options.ts';
import { readText } from './read_text.ts';

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** The agent over the Unix socket, and replication. Always in force. */
function always(o: PgOptions): string[] {
  const self = quote(o.superuser);
  const peer = quote(o.replicationUser);
  const auth = o.replicationAuth === 'trust' ? 'trust' : 'scram-sha-256';
  return [
    `local all ${self} ${o.localAuth}`,
    `local replication ${self} ${o.localAuth}`,
    `host replication ${peer} all ${auth}`,
    // pg_rewind reads the files of its source through SQL.
    `host ${quote(o.database)} ${peer} all ${auth}`,
  ];
}

export function renderHba(o: PgOptions, fenced: boolean, original: string | null): string {
  const others = fenced
    ? ['# fenced: everybody else is refused', 'local all all reject', 'host all all all reject']
    : (o.clientHba ?? [original?.trimEnd() ?? `host all all all ${o.clientAuth}`]);
  return ['# Written by the agent.', ...always(o), ...others, ''].join('\n');
}

/** Put one of the two in place. In force with the next reload or start. */
export async function writeHba(o: PgOptions, fenced: boolean): Promise<void> {
  const original = o.originalHba === undefined ? null : await readText(o.originalHba);
  writeDurably(hbaFile(o), renderHba(o, fenced, original), PRIVATE);
}
