/** Arguments checked before citty parses them: by itself it lets unknown and missing ones through. */
import type { ArgDef, ArgsDef } from 'citty';
import { usageError } from '../../agent/errors.ts';

export interface Given {
  /** Every value of each option, in order: an option may be repeated. Booleans as 'true' and 'false'. */
  readonly options: ReadonlyMap<string, readonly string[]>;
  readonly positionals: readonly string[];
}

interface Option {
  readonly name: string;
  readonly definition: ArgDef;
}

const aliasesOf = (definition: ArgDef): string[] =>
  'alias' in definition && definition.alias !== undefined ? [definition.alias].flat() : [];

export const isPositional = (definition: ArgDef): boolean => definition.type === 'positional';

/** How an option is written: `-f`, `--follow`. */
const written = (name: string): string => (name.length === 1 ? `-${name}` : `--${name}`);

function optionsOf(definitions: ArgsDef): Map<string, Option> {
  const found = new Map<string, Option>();
  for (const [name, definition] of Object.entries(definitions)) {
    if (isPositional(definition)) continue;
    for (const word of [name, ...aliasesOf(definition)]) found.set(written(word), { name, definition });
    if (definition.type === 'boolean' && definition.default === true)
      found.set(`--no-${name}`, { name, definition });
  }
  return found;
}

async function unknownOption(word: string, known: readonly string[]): Promise<Error> {
  const { nearest } = await import('../../agent/config/problems.ts');
  const guess = nearest(word, known);
  return usageError(
    `unknown option ${word}`,
    guess === undefined ? `options here: ${known.join(' ')}` : `did you mean ${guess}?`,
  );
}

function readValue(
  word: string,
  definition: ArgDef,
  inline: string | undefined,
  next: string | undefined,
): string {
  const value = inline ?? (next?.startsWith('-') && next.length > 1 ? undefined : next);
  if (value === undefined || value === '') {
    const shape = ('valueHint' in definition ? definition.valueHint : undefined) ?? 'VALUE';
    throw usageError(`${word} needs a value`, `write ${word}=${shape}`);
  }
  if (definition.type === 'enum' && definition.options && !definition.options.includes(value)) {
    throw usageError(`${word}=${value} is not a valid value`, `one of: ${definition.options.join(', ')}`);
  }
  return value;
}

/** Positionals against their definitions: none missing, none left over unless `rest`. */
function checkPositionals(definitions: ArgsDef, given: readonly string[], rest: boolean): void {
  const wanted = Object.entries(definitions).filter(([, definition]) => isPositional(definition));
  const missing = wanted
    .slice(given.length)
    .find(([, { required, default: fallback }]) => required !== false && fallback === undefined);
  if (missing) throw usageError(`${missing[0].toUpperCase()} is missing`, missing[1].description);
  const extra = given[wanted.length];
  if (extra !== undefined && !rest) throw usageError(`'${extra}' is one argument too many`);
}

/** Reads `raw` as citty will, strictly. Throws usage errors that say what would be right. */
export async function checkArgs(raw: readonly string[], definitions: ArgsDef, rest: boolean): Promise<Given> {
  const known = optionsOf(definitions);
  const options = new Map<string, string[]>();
  const positionals: string[] = [];
  for (let at = 0; at < raw.length; at++) {
    const token = raw[at] ?? '';
    if (token === '--') {
      positionals.push(...raw.slice(at + 1));
      break;
    }
    if (!token.startsWith('-') || token === '-') {
      positionals.push(token);
      continue;
    }
    const equals = token.indexOf('=');
    const word = equals < 0 ? token : token.slice(0, equals);
    const inline = equals < 0 ? undefined : token.slice(equals + 1);
    const option = known.get(word);
    if (option === undefined) throw await unknownOption(word, [...known.keys()]);
    const { name, definition } = option;
    let value: string;
    if (definition.type === 'boolean') {
      if (inline !== undefined) throw usageError(`${word} takes no value`);
      value = String(word !== `--no-${name}`);
    } else {
      value = readValue(word, definition, inline, raw[at + 1]);
      if (inline === undefined) at++;
    }
    options.set(name, [...(options.get(name) ?? []), value]);
  }
  checkPositionals(definitions, positionals, rest);
  return { options, positionals };
}
