/** What the parts of the driver share. */

import type { Outcome } from '../../core/postgres.ts';
import { messageOf } from '../../errors.ts';
import type { Backoff } from './backoff.ts';
import type { Claims } from './claims.ts';
import type { Link } from './link.ts';
import type { PgOptions } from './options.ts';
import type { SettingsStore } from './settings.ts';
import type { Turns } from './turns.ts';

export type Server = {
  o: PgOptions;
  settings: SettingsStore;
  link: Link;
  loss: LossWatch;
  turns: Turns;
  claims: Claims;
  backoff: Backoff;
};

export const DONE: Outcome = { kind: 'done' };

export function failed(why: unknown): { kind: 'failed'; why: string } {
  return { kind: 'failed', why: messageOf(why) };
}

/** Expected outcomes are values: whatever `work` throws becomes a failure that says `what` was tried. */
export async function attempt<T extends { kind: string }>(
  what: string,
  work: () => Promise<T>,
): Promise<T | { kind: 'failed'; why: string }> {
  try {
    return await work();
  } catch (error) {
    return failed(`${what}: ${messageOf(error)}`);
  }
}

/** Tells of the end of the server once, however many signs of it there are. */
export interface LossWatch {
  /** The server was seen alive: its next end is news, unless it is wanted. */
  arm(): void;
  /** Its end is wanted from now on, or no longer. */
  want(end: boolean): void;
  sign(): void;
  onLost(callback: () => void): void;
}

export function createLossWatch(): LossWatch {
  let armed = false;
  let wanted = false;
  const callbacks: (() => void)[] = [];
  return {
    arm: () => {
      armed = !wanted;
    },
    want: (end) => {
      wanted = end;
      if (end) armed = false;
    },
    sign: () => {
      if (!armed) return;
      armed = false;
      for (const callback of callbacks) callback();
    },
    onLost: (callback) => {
      callbacks.push(callback);
    },
  };
}
