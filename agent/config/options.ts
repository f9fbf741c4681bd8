import { existsSync, readFileSync } from 'node:fs';
import { messageOf, usageError } from '../errors.ts';
import { readYaml } from './load.ts';
import type { ConfigInput } from './schema.ts';
import { plainYaml } from './yaml.ts';

type Tree = { [key: string]: unknown };

/** Names that operators know without their section. */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  check_ttl_multiplier: 'checks.check_ttl_multiplier',
  check_fail_fast: 'checks.check_fail_fast',
  nofailover: 'tags.nofailover',
  priority: 'tags.priority',
  primary_start_timeout: 'postgres.primary_start_timeout',
};

const FORBIDDEN = new Set(['__proto__', 'constructor', 'prototype']);

const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function put(tree: Tree, path: string[], value: unknown): void {
  const [head, ...rest] = path;
  if (head === undefined || head === '' || FORBIDDEN.has(head)) {
    throw usageError(`'${path.join('.')}' is not the name of an option`);
  }
  if (rest.length === 0) {
    const before = tree[head];
    tree[head] = isTree(before) && isTree(value) ? merge(before, value) : value;
    return;
  }
  const next = isTree(tree[head]) ? (tree[head] as Tree) : {};
  tree[head] = next;
  put(next, rest, value);
}

/** Dotted and short names become sections: {'lease.preset': 'fast'} to {lease: {preset: 'fast'}}. */
function expand(flat: Tree): Tree {
  const tree: Tree = {};
  for (const [name, value] of Object.entries(flat)) put(tree, (SHORT_NAMES[name] ?? name).split('.'), value);
  return tree;
}

/** Deep copy of `base` with `over` laid on it; lists and single values are replaced. */
export function merge(base: Tree, over: Tree): Tree {
  const result: Tree = { ...base };
  for (const [key, value] of Object.entries(over)) {
    if (FORBIDDEN.has(key)) continue;
    const before = result[key];
    result[key] = isTree(before) && isTree(value) ? merge(before, value) : value;
  }
  return result;
}

/** A single value, read as it would be in agent.yaml. */
function valueFor(name: string, text: string): unknown {
  try {
    return plainYaml(text, [SHORT_NAMES[name] ?? name]);
  } catch (thrown) {
    throw usageError(
      `option '${name}': its value ${text} cannot be read: ${messageOf(thrown)}`,
      `put it in quotes, ${name}='...'; if it holds quotes or ';' itself, use a JSON object or a file`,
    );
  }
}

function pairs(text: string): Tree {
  const flat: Tree = {};
  for (const pair of text.split(';').map((part) => part.trim())) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    if (equals < 1)
      throw usageError(`option '${pair}' has no value`, 'write NAME=VALUE;NAME=VALUE, JSON, or a file name');
    const value = pair.slice(equals + 1).trim();
    const name = pair.slice(0, equals).trim();
    flat[name] = value === '' ? '' : valueFor(name, value);
  }
  return flat;
}

function readOne(text: string): Tree {
  const trimmed = text.trim();
  if (trimmed.startsWith('{')) {
    try {
      JSON.parse(trimmed);
      return plainYaml(trimmed) as Tree;
    } catch (cause) {
      throw usageError(`the options are not JSON: ${messageOf(cause)}`);
    }
  }
  if (existsSync(trimmed)) {
    const read = readYaml(readFileSync(trimmed, 'utf8'), trimmed) ?? {};
    if (!isTree(read)) throw usageError(`${trimmed} must hold names and values`);
    return read;
  }
  if (!trimmed.includes('=')) {
    throw usageError(
      `'${trimmed}' is neither NAME=VALUE, nor JSON, nor a file`,
      'give --options as one of these',
    );
  }
  return pairs(trimmed);
}

/**
 * The values of `--options`: each `NAME=VALUE;NAME=VALUE`, a JSON object, or a YAML or JSON file. Names may
 * be dotted (`lease.preset=fast`); later ones win. Throws usage errors. What comes out is laid over the file
 * with `withOptions` and only then validated.
 */
export function parseOptions(texts: string | readonly string[]): ConfigInput {
  const list = typeof texts === 'string' ? [texts] : texts;
  return list.reduce<Tree>((sum, text) => merge(sum, expand(readOne(text))), {}) as ConfigInput;
}

/** The file's content with options laid over it; validate with `makeConfig`. */
export function withOptions(input: ConfigInput, options: ConfigInput): ConfigInput {
  return merge(input as Tree, expand(options as Tree)) as ConfigInput;
}
