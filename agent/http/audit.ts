/**
 * One line in the log for each change that somebody asked for, and for each refusal:
 * `audit: who="ann" from="10.0.0.9" what="POST /api/v1/resume" outcome="200" times="1"`.
 * Values are printable ASCII in JSON's quotes, and cut: whoever sends them cannot write a line of their own.
 */
import type { Context, MiddlewareHandler } from 'hono';
import { AgentError } from '../errors.ts';
import type { Logger } from '../log/log.ts';
import type { Access } from './auth.ts';
import { addressOf } from './connection.ts';

declare module 'hono' {
  interface ContextVariableMap {
    /** Who calls, proven: a user's or token's name, `socket`, `secret`, `peer:NODE`, `joiner:NODE`. */
    caller: string;
    /** Who it says it is, before that is proven. */
    claimed: string;
  }
}

const READS = new Set(['GET', 'HEAD', 'OPTIONS']);
/** Asked again and again while they are needed: their refusals alone are news. */
const REPEATED = new Set(['/api/v1/peer/keep', '/api/v1/peer/failsafe']);
/** A value's characters. */
const LONGEST = 120;
/** Refusals that are the same are written once in this time, in ms, and then with how many there were. */
const WINDOW = 60_000;
/**
 * Different ones in that time that have lines of their own: a flood shall not push everything else out of the
 * log.
 */
const FEW = 30;
/** All others share one line in this time, ms. */
const TOGETHER = 1_000;
/** As many of their addresses are told apart. */
const ADDRESSES = 10_000;

/** In quotes, on one line, in ASCII. */
export function quoted(text: string): string {
  const cut = text.length > LONGEST ? `${text.slice(0, LONGEST)}...` : text;
  return JSON.stringify(cut).replace(
    /[^\x20-\x7e]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

export interface AuditEntry {
  readonly who: string;
  readonly from: string;
  readonly what: string;
  readonly outcome: string;
}

const fields = ({ who, from, what, outcome }: AuditEntry): string =>
  `who=${quoted(who)} from=${quoted(from)} what=${quoted(what)} outcome=${quoted(outcome)}`;

export const auditLine = (entry: AuditEntry, times = 1): string => `audit: ${fields(entry)} times="${times}"`;

export interface Refusals {
  refuse(entry: AuditEntry): void;
  /** Writes what was held back, once the window is over. Cheap: at each request. */
  turn(): void;
}

/**
 * Writes refusals, bounded: at most FEW, as many repeats of them, and a line a second for all others. What is
 * held back is counted.
 */
export function refusals(write: (line: string) => void, now: () => number): Refusals {
  let began = Number.NEGATIVE_INFINITY;
  let seen = new Map<string, { entry: AuditEntry; more: number }>();
  let told = Number.NEGATIVE_INFINITY;
  /** Those without a line since `told`. */
  let others: { count: number; addresses: Set<string>; last: AuditEntry } | null = null;

  function tellOthers(): void {
    if (others === null || now() - told < TOGETHER) return;
    const { count, addresses, last } = others;
    const many = addresses.size < ADDRESSES ? addresses.size : `${ADDRESSES} or more`;
    told = now();
    others = null;
    write(`audit: ${count} more refused, different addresses: ${many}, the last: ${fields(last)}`);
  }

  function turn(): void {
    tellOthers();
    if (now() - began < WINDOW) return;
    const before = seen;
    began = now();
    seen = new Map();
    for (const { entry, more } of before.values()) if (more > 0) write(auditLine(entry, more));
  }

  return {
    turn,
    refuse(entry) {
      turn();
      const line = auditLine(entry);
      const same = seen.get(line);
      if (same !== undefined) {
        same.more += 1;
      } else if (seen.size < FEW) {
        seen.set(line, { entry, more: 0 });
        write(line);
      } else {
        others ??= { count: 0, addresses: new Set(), last: entry };
        others.count += 1;
        others.last = entry;
        if (others.addresses.size < ADDRESSES) others.addresses.add(entry.from);
        tellOthers();
      }
    },
  };
}

function outcomeOf(c: Context): string {
  const { status } = c.res;
  if (c.error === undefined) return String(status);
  return c.error instanceof AgentError ? `${status} ${c.error.code}` : `${status} error`;
}

const TURNED_AWAY = new Set([401, 403, 429]);

/** Was somebody turned away, rather than served or told of a mistake? */
function refused(c: Context): boolean {
  const { status } = c.res;
  if (c.error instanceof AgentError && c.error.code.startsWith('too_many_')) return true;
  // A browser asks once without credentials to learn that it needs some.
  if (status === 401 && READS.has(c.req.method) && c.req.header('authorization') === undefined)
    return c.req.path.startsWith('/api/v1/peer/');
  return TURNED_AWAY.has(status);
}

function whoOf(c: Context): string {
  const caller = c.get('caller');
  if (caller !== undefined) return caller;
  const claimed = c.get('claimed');
  return claimed === undefined ? 'nobody' : `unproven:${claimed}`;
}

/** Around everything else, so that whoever refuses, and wherever, it is written. */
export function audit(
  access: Access,
  log: Logger | undefined,
  now = () => performance.now(),
): MiddlewareHandler {
  const { refuse, turn } = refusals((line) => log?.warn(line), now);
  return async (c, next) => {
    await next();
    turn();
    const change = !READS.has(c.req.method);
    if (!change && !refused(c)) return;
    const entry = {
      who: whoOf(c),
      from: access.admin ? 'socket' : (addressOf(c) ?? 'unknown'),
      what: `${c.req.method} ${c.req.path}`,
      outcome: outcomeOf(c),
    };
    // A member is told of its mistakes, and those are no flood; of nobody in particular everything is.
    if (refused(c) || c.get('caller') === undefined) return refuse(entry);
    if (REPEATED.has(c.req.path) && c.res.ok) return;
    log?.info(auditLine(entry));
  };
}
