/**
 * Slows down who guesses passwords: each failure of an address, and of a name, makes the next try wait
 * longer, up to a bound. Who logged in from an address lately is known there, and waits for the failures of
 * that name from that address alone: strangers, however many and on whatever name, make no known user wait.
 * Pure but for the clock; nothing is kept over a restart.
 */
import { createHash, randomBytes } from 'node:crypto';
import { isIPv6 } from 'node:net';

/** One try. Exactly one of its three ends is called, once. */
export interface Try {
  readonly known: boolean;
  right(): void;
  wrong(): void;
  /** It was not looked at, and counts for nothing. */
  dropped(): void;
}

export interface Slowdown {
  /**
   * Counted as wrong until its end is known, so that many at once are no way around. `wait`: ms until the
   * next may come.
   */
  begin(from: string, name: string): Try | { readonly wait: number };
  /** A right password without a look (remembered): the name is known from there. */
  seen(from: string, name: string): void;
}

interface Rule {
  /** Failures that cost nothing: typing errors. */
  readonly free: number;
  /** Longest wait, in ms. */
  readonly most: number;
}

const ADDRESS: Rule = { free: 5, most: 60_000 };
const NAME: Rule = { free: 10, most: 30_000 };
const PAIR: Rule = { free: 5, most: 60_000 };
/** Failures are forgotten after this long without another. */
const FORGET = 15 * 60_000;
/** "Lately", for who is known where. */
const KNOWN_FOR = 7 * 86_400_000;
/**
 * Entries of each table. A look takes so long that a flood makes fewer than this before they are forgotten.
 */
const ROOM = 4096;
const KNOWN_ROOM = 1024;

/** One subscriber is one address: an IPv4, or the 64 bits of an IPv6 that a network is given. */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!isIPv6(address)) return address;
  const [head = '', tail] = (address.split('%')[0] ?? '').split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const last = tail === '' ? 0 : tail.split(':').length;
    while (groups.length + last < 8) groups.push('0');
  }
  const first = groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${first.join(':')}::/64`;
}

export interface Counted {
  /** Ms until the next; 0 is now. */
  wait(key: string): number;
  failed(key: string): void;
  /** Takes one failure back. */
  forgive(key: string): void;
  forget(key: string): void;
  readonly size: number;
}

/** Failures by key, the latest last, so that what goes first for want of room is the oldest. */
export function counted({ free, most }: Rule, now: () => number, room = ROOM): Counted {
  const table = new Map<string, { failures: number; at: number }>();
  const find = (key: string) => {
    const entry = table.get(key);
    if (entry === undefined || now() - entry.at < FORGET) return entry;
    table.delete(key);
    return undefined;
  };
  const waitOf = (failures: number) =>
    failures <= free ? 0 : Math.min(most, 1000 * 2 ** (failures - free - 1));
  return {
    wait(key) {
      const entry = find(key);
      return entry === undefined ? 0 : Math.max(0, entry.at + waitOf(entry.failures) - now());
    },
    failed(key) {
      const failures = Math.min((find(key)?.failures ?? 0) + 1, 1000);
      table.delete(key);
      table.set(key, { failures, at: now() });
      for (const [oldest] of table) {
        if (table.size <= room) break;
        table.delete(oldest);
      }
    },
    forgive(key) {
      const entry = find(key);
      if (entry === undefined) return;
      if (entry.failures <= 1) table.delete(key);
      else entry.failures -= 1;
    },
    forget: (key) => void table.delete(key),
    get size() {
      return table.size;
    },
  };
}

export function createSlowdown(now: () => number): Slowdown {
  const salt = randomBytes(16);
  const short = (text: string) =>
    createHash('sha256').update(salt).update(text).digest('base64').slice(0, 22);
  const [byAddress, byName, byPair] = [counted(ADDRESS, now), counted(NAME, now), counted(PAIR, now)];
  /** Since when. Only who has a password can add here, so no flood pushes anybody out. */
  const known = new Map<string, number>();

  const remember = (pair: string) => {
    known.delete(pair);
    known.set(pair, now());
    for (const [oldest] of known) {
      if (known.size <= KNOWN_ROOM) break;
      known.delete(oldest);
    }
  };
  const isKnown = (pair: string) => now() - (known.get(pair) ?? Number.NEGATIVE_INFINITY) < KNOWN_FOR;

  return {
    begin(from, name) {
      const address = networkOf(from);
      const who = short(name);
      const pair = `${address} ${who}`;
      const familiar = isKnown(pair);
      const counts: [Counted, string][] = familiar
        ? [[byPair, pair]]
        : [
            [byAddress, address],
            [byName, who],
          ];
      const wait = Math.max(...counts.map(([table, key]) => table.wait(key)));
      if (wait > 0) return { wait };
      for (const [table, key] of counts) table.failed(key);
      const takeBack = () => {
        for (const [table, key] of counts) table.forgive(key);
      };
      return {
        known: familiar,
        right() {
          takeBack();
          byPair.forget(pair);
          remember(pair);
        },
        wrong() {},
        dropped: takeBack,
      };
    },
    seen: (from, name) => remember(`${networkOf(from)} ${short(name)}`),
  };
}
