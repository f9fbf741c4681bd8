/**
 * What the server's own program says of its settings: with -C it reads all of them as for a start, prints
 * one, and starts nothing. The one place that asks so, and reads what it complains of.
 */
import { join } from 'node:path';
import { run } from '../../platform/process.ts';

/** Whoever the server runs as, where root asks. */
export type RunAs = { user: string; uid: number; gid: number };

export type Question = {
  readonly binDir: string;
  /** The setting that is printed. */
  readonly name: string;
  readonly dataDir: string;
  readonly configFile: string;
  /** Over what the file says. */
  readonly over?: Readonly<Record<string, string>>;
  /** Milliseconds. */
  readonly ms: number;
  readonly as?: RunAs | undefined;
};

/** `refused`: each thing it does not take, in English. */
export type Said = { readonly value: string } | { readonly refused: readonly string[] };

/** Wherever the manager's log goes, and in whatever language: here it is read. */
const READABLE = {
  log_destination: 'stderr',
  lc_messages: 'C',
  log_min_messages: 'warning',
  log_line_prefix: '',
};

/** As runuser would, without a session of its own: PAM's take seconds on a busy machine. */
const asUser = ({ user, gid }: RunAs, command: readonly string[]): string[] => [
  ...['setpriv', `--reuid=${user}`, `--regid=${gid}`, '--init-groups', '--'],
  ...command,
];

/** Throws when it could not be asked, or did not answer in time. Changes nothing. */
export async function askServer(q: Question): Promise<Said> {
  const set = { config_file: q.configFile, ...READABLE, ...q.over };
  const command = [
    ...[join(q.binDir, 'postgres'), '-C', q.name, '-D', q.dataDir],
    ...Object.entries(set).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
  const [program = '', ...args] = q.as === undefined ? command : asUser(q.as, command);
  const env = { LC_ALL: 'C', LANGUAGE: undefined, PGDATA: undefined, PGOPTIONS: undefined };
  const ran = await run(program, args, { deadline: Math.max(1, q.ms), env, cwd: '/' });
  if (ran.ended !== undefined) throw new Error('it did not finish in time: try again');
  if (ran.code === 0) return { value: ran.stdout.trim() };
  const said = complaints(ran.stderr);
  return {
    refused: said.length > 0 ? said : [ran.stderr.trim() || `it ended with ${ran.code ?? ran.signal}`],
  };
}

/** Without what is only a summary of the others, or of no account before a start. */
function complaints(stderr: string): string[] {
  const said = stderr.split('\n').flatMap((line) => {
    const words =
      /(?:^|\s)(?:LOG|ERROR|FATAL|PANIC|DETAIL|HINT):\s+(.*)$/.exec(line)?.[1] ??
      /^postgres: (.*)$/.exec(line)?.[1];
    return words === undefined || /^skipping missing |contains errors$/.test(words) ? [] : [words];
  });
  return [...new Set(said)];
}
