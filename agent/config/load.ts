import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { AgentError } from '../errors.ts';
import { crossProblems } from './cross.ts';
import { UNKNOWN_KEY } from './group.ts';
import { type Problem, problemLine, problemsOf } from './problems.ts';
import { type Config, deepFreeze, resolve } from './resolve.ts';
import { type ConfigInput, fileSchema } from './schema.ts';
import { plainYaml, YamlError } from './yaml.ts';

/** Everything that is wrong in the configuration, at once. Code `config_invalid`. */
export class ConfigError extends AgentError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[], source: string) {
    const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`;
    super({
      class: 'operator',
      code: 'config_invalid',
      message: [`${source}: ${count}`, ...problems.map((problem) => `  ${problemLine(problem)}`)].join('\n'),
      hint: `correct ${source} and try again`,
    });
    this.problems = problems;
  }
}

export type ConfigResult =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** A copy without the keys at these paths; what is left can be read, and holds defaults where they were. */
function without(input: unknown, paths: readonly string[]): unknown {
  const copy = structuredClone(input) as Record<string, unknown>;
  for (const path of paths) {
    const keys = path.split('.');
    const last = keys.pop() ?? '';
    const parent = keys.reduce<unknown>(
      (node, key) => (node as Record<string, unknown> | undefined)?.[key],
      copy,
    );
    if (typeof parent === 'object' && parent !== null) delete (parent as Record<string, unknown>)[last];
  }
  return copy;
}

/** The problems between keys, as far as they can be told when `own` keys are wrong by themselves. */
function crossProblemsAround(input: unknown, own: readonly Problem[]): Problem[] {
  const paths = own.map((problem) => problem.path);
  if (paths.includes('')) return [];
  const sections = [...new Set(paths.map((path) => path.split('.')[0] ?? ''))];
  for (const removed of [paths, sections]) {
    const parsed = v.safeParse(fileSchema, without(input, removed));
    if (parsed.success)
      return crossProblems(
        parsed.output,
        own.filter(({ message }) => !message.startsWith(UNKNOWN_KEY)).map(({ path }) => path),
      );
  }
  return [];
}

/** Validates a configuration already read from YAML or JSON. Never throws; pure. */
export function checkConfig(input: unknown): ConfigResult {
  const parsed = v.safeParse(fileSchema, input);
  const own = problemsOf(parsed.issues ?? []);
  const problems = [
    ...own,
    ...(parsed.success ? crossProblems(parsed.output) : crossProblemsAround(input, own)),
  ];
  if (!parsed.success || problems.length > 0) return { ok: false, problems };
  return { ok: true, config: deepFreeze(resolve(parsed.output)) };
}

/** The configuration with all defaults, from an object of the file's shape. Throws ConfigError. */
export function makeConfig(input: ConfigInput = {}, source = 'configuration'): Config {
  const result = checkConfig(input);
  if (!result.ok) throw new ConfigError(result.problems, source);
  return result.config;
}

/** Reads YAML (JSON is YAML too) into plain data; duplicate keys and syntax errors are problems. */
export function readYaml(text: string, source: string): unknown {
  try {
    return plainYaml(text);
  } catch (thrown) {
    if (!(thrown instanceof YamlError)) throw thrown;
    throw new ConfigError(
      thrown.problems.map((message) => ({ path: '', message })),
      source,
    );
  }
}

/** Parses the text of agent.yaml. Throws ConfigError with every problem. */
export function parseConfig(text: string, source = 'agent.yaml'): Config {
  return makeConfig(readYaml(text, source) as ConfigInput, source);
}

export interface RawConfig {
  /** As written, for merging options and for writing it back. */
  readonly input: ConfigInput;
  readonly config: Config;
}

/**
 * Reads and validates a file; `paths.config` becomes its path. Throws ConfigError, or AgentError
 * `config_unreadable` when the file cannot be read.
 */
export function loadConfig(path: string): RawConfig {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new AgentError({
      class: 'operator',
      code: 'config_unreadable',
      message: `cannot read the configuration ${path}`,
      hint: "create it with 'agent install', or name another with --config",
      cause,
    });
  }
  const read = readYaml(text, path) as ConfigInput | null;
  const checked = makeConfig(read ?? {}, path);
  const input: ConfigInput = { ...read, paths: { ...read?.paths, config: path } };
  return { input, config: checked.paths.config === path ? checked : makeConfig(input, path) };
}
