/** From the words of a command line to its command. */
import type { ArgsDef, CommandDef, SubCommandsDef } from 'citty';
import { usageError } from '../../agent/errors.ts';
import { COMMON } from './command.ts';

export interface Found {
  readonly command: CommandDef;
  /** `['agent', 'cluster', 'nodes']`. */
  readonly path: readonly string[];
  /** What is left for the command; common options that stood before it are among them. */
  readonly rest: readonly string[];
}

/** citty's resolvable values: a value, a promise, or a function of either. */
export async function resolved<T>(value: T | Promise<T> | (() => T) | (() => Promise<T>)): Promise<T> {
  return typeof value === 'function' ? await (value as () => T | Promise<T>)() : await value;
}

export const subCommandsOf = async (command: CommandDef): Promise<SubCommandsDef> =>
  (await resolved(command.subCommands ?? {})) as SubCommandsDef;

export const argsOf = async (command: CommandDef): Promise<ArgsDef> =>
  (await resolved(command.args ?? {})) as ArgsDef;

const takesValue = (option: string): boolean => {
  const definition = COMMON[option.replace(/^--/, '') as keyof typeof COMMON];
  return definition !== undefined && definition.type === 'string';
};

/** Those that people are told of. */
async function shown(commands: SubCommandsDef): Promise<string[]> {
  const names: string[] = [];
  for (const [name, command] of Object.entries(commands)) {
    const { meta } = await resolved<CommandDef>(command as CommandDef);
    if ((await resolved(meta ?? {})).hidden !== true) names.push(name);
  }
  return names;
}

async function unknownCommand(
  word: string,
  path: readonly string[],
  commands: SubCommandsDef,
): Promise<Error> {
  const { nearest } = await import('../../agent/config/problems.ts');
  const known = await shown(commands);
  const guess = nearest(word, known);
  return usageError(
    `'${path.join(' ')}' has no command '${word}'`,
    guess === undefined ? `it has: ${known.join(', ')}` : `did you mean '${[...path, guess].join(' ')}'?`,
  );
}

/** Walks down as far as the words name commands. Throws a usage error at a word that names none. */
export async function findCommand(root: CommandDef, argv: readonly string[]): Promise<Found> {
  let command = root;
  const path = ['agent'];
  const before: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const known = await subCommandsOf(command);
    if (Object.keys(known).length === 0) return { command, path, rest: [...before, ...argv.slice(at)] };
    const word = argv[at] ?? '';
    if (word.startsWith('-')) {
      before.push(word);
      if (takesValue(word) && argv[at + 1] !== undefined) before.push(argv[++at] ?? '');
      continue;
    }
    const next = Object.hasOwn(known, word) ? known[word] : undefined;
    if (next === undefined) throw await unknownCommand(word, path, known);
    command = await resolved<CommandDef>(next as CommandDef);
    path.push(word);
  }
  return { command, path, rest: before };
}
