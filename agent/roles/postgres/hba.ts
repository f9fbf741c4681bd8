/** pg_hba.conf, fenced and open, and pg_ident.conf. The first line that matches a connection decides; no line is a refusal. */

import { hbaFile, identFile, type Settings } from './conf.ts';
import type { PgOptions } from './options.ts';
import { readText } from './read_text.ts';
import type { TlsSettings } from './tls.ts';
import { writeText } from './write_text.ts';

const AGENT_MAP = 'cloudify_agent';
const MEMBERS_MAP = 'cloudify_members';

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** The agent over the Unix socket, and replication. Always in force. */
function always(o: PgOptions, tls: TlsSettings | undefined): string[] {
  const self = quote(o.superuser);
  const local = o.localAuth === 'trust' ? 'trust' : `peer map=${AGENT_MAP}`;
  return [`local all ${self} ${local}`, `local replication ${self} ${local}`, ...replication(o, tls)];
}

function replication(o: PgOptions, tls: TlsSettings | undefined): string[] {
  const peer = quote(o.replicationUser);
  // pg_rewind reads the files of its source through SQL.
  const targets = ['replication', quote(o.database)];
  if (tls !== undefined)
    return [
      ...targets.map((target) => `hostssl ${target} ${peer} all cert map=${MEMBERS_MAP}`),
      `host all,replication ${peer} all reject`,
    ];
  if (o.replicationAuth === 'certificate') return [`host all,replication ${peer} all reject`];
  const auth = o.replicationAuth === 'trust' ? 'trust' : 'scram-sha-256';
  return targets.map((target) => `host ${target} ${peer} all ${auth}`);
}

/** The Unix socket cannot be cut by a firewall: where that is the fence, nobody but the agent is on it (PROTOCOL C.2). */
function withoutLocal(hba: string): string {
  return hba
    .split('\n')
    .map((line) => (/^\s*local\s/i.test(line) ? `# the Unix socket is the agent's: ${line.trim()}` : line))
    .join('\n');
}

export function renderHba(
  o: PgOptions,
  { fenced, tls }: Pick<Settings, 'fenced' | 'tls'>,
  original: string | null,
): string {
  const own = original === null ? null : o.localAuth === 'trust' ? original : withoutLocal(original);
  const others = fenced
    ? ['# fenced: everybody else is refused', 'local all all reject', 'host all all all reject']
    : (o.clientHba ?? [own?.trimEnd() ?? `host all all all ${o.clientAuth}`]);
  return ['# Written by the agent.', ...always(o, tls), ...others, ''].join('\n');
}

/** Which OS users are the agent's role on the Unix socket, and which certificates are those of members. */
export function renderIdent(o: PgOptions, tls: TlsSettings | undefined, original: string | null): string {
  const users = o.localAuth === 'trust' ? [] : o.localAuth.users;
  const members = tls?.members ?? [];
  return [
    '# Written by the agent.',
    ...users.map((user) => `${AGENT_MAP} ${quote(user)} ${quote(o.superuser)}`),
    ...members.map((name) => `${MEMBERS_MAP} ${quote(name)} ${quote(o.replicationUser)}`),
    original?.trimEnd() ?? '',
    '',
  ].join('\n');
}

/** Both as they shall be; `write` puts them in place, in force with the next reload or start. */
export async function accessOf(
  o: PgOptions,
  settings: Pick<Settings, 'fenced' | 'tls'>,
): Promise<{ write(): Promise<void> }> {
  const read = async (path: string | undefined) => (path === undefined ? null : await readText(path));
  const [hba, ident] = [await read(o.originalHba), await read(o.originalIdent)];
  return {
    async write() {
      await writeText(identFile(o), renderIdent(o, settings.tls, ident));
      await writeText(hbaFile(o), renderHba(o, settings, hba));
    },
  };
}
