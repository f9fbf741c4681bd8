import type * as v from 'valibot';
import { UNKNOWN_KEY } from './group.ts';

/** One thing wrong in the configuration: where, and what would be right. */
export interface Problem {
  /** Keys joined by dots, list positions from 0: `services.0.name`. Empty for the whole file. */
  readonly path: string;
  readonly message: string;
}

const pathOf = (issue: v.BaseIssue<unknown>): string =>
  issue.path?.map((item) => String(item.key)).join('.') ?? '';

/** Levenshtein distance; for the one-word names of keys. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, left] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, right] of [...b].entries()) {
      const cost = left === right ? 0 : 1;
      next.push(Math.min((next[j] ?? 0) + 1, (row[j + 1] ?? 0) + 1, (row[j] ?? 0) + cost));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** The nearest of `known`, if near enough to be a slip of the pen. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const ranked = known.map((name) => ({ name, off: distance(word.toLowerCase(), name) }));
  ranked.sort((a, b) => a.off - b.off);
  const best = ranked[0];
  return best && best.off <= Math.max(1, Math.floor(word.length / 3)) ? best.name : undefined;
}

function unknownKey(path: string, message: string): string {
  const known = message.slice(message.indexOf('here: ') + 'here: '.length).split(', ');
  const guess = nearest(path.slice(path.lastIndexOf('.') + 1), known);
  return guess === undefined ? message : `${UNKNOWN_KEY}; did you mean '${guess}'?`;
}

function show(input: unknown): string {
  const text = typeof input === 'string' ? `'${input}'` : (JSON.stringify(input) ?? String(input));
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

const SECRET_KEY = /(password|secret|token|gossip_key|private_key|password_hash)$/i;
export const isSecretKey = (key: string): boolean => SECRET_KEY.test(key);

/** valibot's issues as problems: what was read is quoted, unless the key holds a secret. */
export function problemsOf(issues: readonly v.BaseIssue<unknown>[]): Problem[] {
  return issues.map((issue) => {
    const path = pathOf(issue);
    if (issue.message.startsWith(UNKNOWN_KEY)) return { path, message: unknownKey(path, issue.message) };
    if (issue.input === undefined) return { path, message: 'is missing' };
    const quoted = isSecretKey(path) || typeof issue.input === 'object' ? '' : `; it is ${show(issue.input)}`;
    return { path, message: `${issue.message}${quoted}` };
  });
}

export const problemLine = ({ path, message }: Problem): string =>
  path === '' ? message : `${path}: ${message}`;
