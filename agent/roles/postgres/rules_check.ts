/**
 * Would the server take these rules? A pg_hba.conf or pg_ident.conf with one wrong line is left out as a
 * whole, with a line in the server's log and nothing else: whoever was refused before is refused still. So
 * the server is asked what it makes of the files.
 */
import { chmodSync, chownSync, mkdtempSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { Deadline } from '../../platform/clock.ts';
import { makeDir, writeAtomically } from '../../platform/files.ts';
import { dataVersion } from '../../platform/paths.ts';
import { run, runOk } from '../../platform/process.ts';
import { type Access, accessOf } from './hba.ts';
import type { PgOptions } from './options.ts';
import { type RuleLine, tokensOf, withoutFiles } from './rule_lines.ts';
import type { Server } from './server.ts';

type Options = Omit<PgOptions, 'starter'>;
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

/**
 * On the running server, of the files as they are written now; they need not be loaded. Null: nothing is
 * wrong with them.
 */
export async function refusedRules(server: Server, end: Deadline): Promise<string | null> {
  const { o, link, settings } = server;
  const version = dataVersion(o.dataDir) ?? 0;
  const rows = (await link.query(complaints(version), Math.max(1, end.left()))) as Complaint[];
  if (rows.length === 0 && version >= SHOWS_MAPS) return null;
  const access = await accessOf(o, await settings.get());
  const wrong = [...told(access, rows), ...unfinished(version, access)];
  return wrong.length === 0 ? null : `PostgreSQL does not accept the rules for clients: ${wrong.join('; ')}`;
}

/** The last answer: the same rules, with the same lists of names, are not tried twice. */
let tried: { key: string; said: Complaint[] } | undefined;

/**
 * The same before anything is written, whether the server runs or not: a server of the same version is asked,
 * on an empty database that is made for this and removed. Each wrong line in words. Throws when it cannot be
 * tried.
 */
export async function tryRules(o: Options): Promise<string[]> {
  const version = dataVersion(o.dataDir) ?? 0;
  const access = await accessOf(o, { fenced: false });
  const whole = [...access.hba, ...access.ident].map(({ text }) => withoutFiles(text));
  const key = JSON.stringify([o.binDir, ...whole]);
  if (tried?.key !== key) tried = { key, said: await askEmpty(o, access, version) };
  return [...told(access, tried.said), ...unfinished(version, access)];
}

const AN_EMPTY_ONE = '-U postgres -A trust -E UTF8 --locale=C --wal-segsize=1 --no-sync'.split(' ');

async function askEmpty(o: Options, access: Access, version: number): Promise<Complaint[]> {
  const dir = mkdtempSync(join(tmpdir(), 'agent-rules-'));
  const data = join(dir, 'data');
  const files = { hba: join(dir, 'hba'), ident: join(dir, 'ident') };
  const owner = ownerOf(o.dataDir);
  const call = async (argv: string[], input?: string): Promise<string> => {
    const [program = '', ...args] = [...owner.as, ...argv];
    const env = { LC_ALL: 'C', LANGUAGE: undefined, PGDATA: undefined };
    const given = { deadline: SCRATCH, env, cwd: dir, ...(input === undefined ? {} : { input }) };
    return (await runOk(program, args, given)).stdout;
  };
  try {
    makeDir(data, 0o700);
    owner.give(dir, data);
    for (const kind of ['hba', 'ident'] as const) {
      const text = access[kind].map((rule) => rule.text).join('\n');
      writeAtomically(files[kind], `${text}\n`, owner.mode);
    }
    await call([join(o.binDir, 'initdb'), '-D', data, ...AN_EMPTY_ONE]);
    const set = ['-c', `hba_file=${files.hba}`, '-c', `ident_file=${files.ident}`, '-c', 'fsync=off'];
    const asked = await call(
      [join(o.binDir, 'postgres'), '--single', '-D', data, '-j', ...set, 'postgres'],
      `select coalesce(jsonb_agg(c), '[]')::text as said from (${complaints(version)}) c;\n\n`,
    );
    // As single-user mode shows a row: a column's name, what it is between quotes, and its type.
    const said = /^\s*1: said = "(.*)"\t\(typeid/m.exec(asked)?.[1];
    if (said === undefined) throw new Error(`the server did not say what it makes of the rules: ${asked}`);
    return JSON.parse(said) as Complaint[];
  } finally {
    await owner.empty(data);
    rmSync(dir, { recursive: true, force: true });
  }
}

/**
 * The server refuses to be root, and root does nothing inside a folder of another's: there it acts as that
 * user (PROTOCOL H.1).
 */
function ownerOf(dataDir: string) {
  if (process.getuid?.() !== 0) return { as: [], mode: 0o600, give() {}, async empty() {} };
  const { uid, gid } = statSync(dataDir);
  const as = ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--'];
  return {
    as,
    mode: 0o644,
    // Rules may hold a password (ldapbindpasswd): nobody else looks in.
    give(dir: string, data: string): void {
      chownSync(dir, 0, gid);
      chmodSync(dir, 0o750);
      chownSync(data, uid, gid);
    },
    async empty(data: string): Promise<void> {
      // Where that is not there, nothing was made either.
      await run('setpriv', [...as.slice(1), 'find', data, '-mindepth', '1', '-delete'], {
        deadline: SCRATCH,
      }).catch(() => {});
      rmdirSync(data);
    },
  };
}
