/**
 * Would the server take these rules? A pg_hba.conf or pg_ident.conf with one wrong line is left out as a whole, with a line in the server's
 * log and nothing else: whoever was refused before is refused still. So the server is asked what it makes of the files.
 */
import { chownSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { writeAtomically } from '../../platform/files.ts';
import { dataVersion } from '../../platform/paths.ts';
import { runOk } from '../../platform/process.ts';
import { type Access, accessOf } from './hba.ts';
import type { PgOptions } from './options.ts';
import { type RuleLine, tokensOf } from './rule_lines.ts';
import type { Server } from './server.ts';
import type { Deadline } from './time.ts';

type Complaint = { kind: string; line: number; error: string };

/** The first version that shows its maps. */
const SHOWS_MAPS = 15;
const SCRATCH = 120_000;

/** A line that is only warned of (hostssl where there is no TLS) has a type all the same. */
const complaints = (version: number): string =>
  `select 'hba' as kind, line_number as line, error from pg_hba_file_rules where error is not null and type is null${
    version < SHOWS_MAPS
      ? ''
      : " union all select 'ident', line_number, error from pg_ident_file_mappings where error is not null and map_name is null"
  }`;

const placeOf = (rule: RuleLine | undefined): string =>
  rule === undefined ? "the agent's own rules" : `${rule.file}, line ${rule.line}`;

const told = ({ hba, ident }: Access, all: readonly Complaint[]): string[] =>
  all.map(({ kind, line, error }) => `${placeOf((kind === 'hba' ? hba : ident)[line - 1])}: ${error}`);

/** What earlier versions say of their maps in their log alone. */
const unfinished = (version: number, { ident }: Access): string[] =>
  version >= SHOWS_MAPS
    ? []
    : ident
        .filter(({ text }) => [1, 2].includes(tokensOf(text).length))
        .map((rule) => `${placeOf(rule)}: missing entry at end of line`);

/** On the running server, of the files as they are written now; they need not be loaded. Null: nothing is wrong with them. */
export async function refusedRules(server: Server, end: Deadline): Promise<string | null> {
  const { o, link, settings } = server;
  const version = dataVersion(o.dataDir) ?? 0;
  const rows = (await link.query(complaints(version), Math.max(1, end.left()))) as Complaint[];
  const access = await accessOf(o, await settings.get());
  const wrong = [...told(access, rows), ...unfinished(version, access)];
  return wrong.length === 0 ? null : `PostgreSQL does not take the rules for clients: ${wrong.join('; ')}`;
}

/**
 * The same before anything is written, whether the server runs or not: a server of the same version is asked, on an empty database
 * that is made for this and removed. Each wrong line in words. Throws when it cannot be tried.
 */
export async function tryRules(o: Omit<PgOptions, 'starter'>): Promise<string[]> {
  const version = dataVersion(o.dataDir) ?? 0;
  const access = await accessOf(o, { fenced: false });
  const { uid, gid } = statSync(o.dataDir);
  const dir = mkdtempSync(join(tmpdir(), 'agent-rules-'));
  // The server refuses to be root.
  const root = process.getuid?.() === 0;
  const as = root ? ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--'] : [];
  const call = (name: string, args: string[]): [string, string[]] => {
    const [program = '', ...rest] = [...as, join(o.binDir, name), ...args];
    return [program, rest];
  };
  const env = { LC_ALL: 'C', LANGUAGE: undefined, PGDATA: undefined };
  try {
    if (root) chownSync(dir, uid, gid);
    const data = join(dir, 'data');
    const files = { hba: join(dir, 'hba'), ident: join(dir, 'ident') };
    for (const kind of ['hba', 'ident'] as const)
      writeAtomically(
        files[kind],
        `${access[kind].map(({ text }) => text).join('\n')}\n`,
        root ? 0o644 : 0o600,
      );
    await runOk(
      ...call('initdb', [
        '-D',
        data,
        '-U',
        'postgres',
        '-A',
        'trust',
        '-E',
        'UTF8',
        '--locale=C',
        '--no-sync',
      ]),
      { deadline: SCRATCH, env, cwd: dir },
    );
    const given = [`hba_file=${files.hba}`, `ident_file=${files.ident}`, 'fsync=off'].flatMap((one) => [
      '-c',
      one,
    ]);
    const { stdout } = await runOk(
      ...call('postgres', ['--single', '-D', data, '-j', ...given, 'postgres']),
      {
        ...{ deadline: SCRATCH, env, cwd: dir },
        input: `select coalesce(jsonb_agg(c), '[]')::text as said from (${complaints(version)}) c;\n\n`,
      },
    );
    // As single-user mode shows a row: a column's name, what it is between quotes, and its type.
    const said = /^\s*1: said = "(.*)"\t\(typeid/m.exec(stdout)?.[1];
    if (said === undefined) throw new Error(`the server did not say what it makes of the rules: ${stdout}`);
    return [...told(access, JSON.parse(said) as Complaint[]), ...unfinished(version, access)];
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
