/**
 * The fence of a manager's VM: PostgreSQL's own (pg_hba, sessions ended) and the kernel lease. Either alone
 * keeps clients out; both are always attempted.
 */

import type { Outcome } from '../../core/postgres.ts';
import { messageOf } from '../../errors.ts';
import { sleep } from '../../platform/clock.ts';
import type { KernelLease } from './kernel_lease.ts';

export interface ServerFence {
  fence(ms: number): Promise<Outcome>;
  unfence(ms: number): Promise<Outcome>;
}

export interface Fence {
  close(ms: number): Promise<Outcome>;
  open(until: number, ms: number): Promise<Outcome>;
  /**
   * `known`: clients are let in, as far as this process knows; left out, it does not know yet, and what is
   * shut stays so. Failed: the ports shut at the last `until` that was confirmed, or up to a second before.
   */
  extend(until: number, known?: boolean): Promise<Outcome>;
}

/** How long the server is not shut for the helper's sake, ms: a small part of the fencing time. */
const RESETTING = 200;

const failed = (why: string): Outcome => ({ kind: 'failed', why });
const caught = (work: Promise<Outcome>): Promise<Outcome> =>
  work.catch((thrown) => failed(messageOf(thrown)));

/** Where there is no firewall (dev cluster): PostgreSQL's own fence alone. `now`: the clock of `until`. */
export function serverFence(server: ServerFence, now: () => number): Fence {
  return {
    close: (ms) => caught(server.fence(ms)),
    // The last look at the clock before clients come in (PROTOCOL B.5).
    open: async (until, ms) =>
      now() < until
        ? await caught(server.unfence(Math.min(ms, until - now())))
        : failed('the right has run out'),
    extend: async () => ({ kind: 'done' }),
  };
}

/** `now`: the clock of `until`. */
export function firewallFence(server: ServerFence, lease: KernelLease, now: () => number): Fence {
  let right = 0;
  /** Closed by us: a renewal that was under way opens nothing again. */
  let shut = false;

  /**
   * While the right lasts, the server goes first: its sessions tell their clients that it is over, which a
   * shut port would swallow, and a client that waits for an answer would wait for its own time limit. Past
   * the right the ports are shut already: there the helper resets the clients while their server still holds
   * their connections, and then the server is shut.
   */
  async function close(ms: number): Promise<Outcome> {
    const patience = Math.min(ms / 2, right - now());
    right = 0;
    shut = true;
    const ports = patience > 0 ? null : caught(lease.close(ms));
    if (ports !== null) await Promise.race([ports, sleep(RESETTING)]);
    const server_ = caught(server.fence(ms));
    if (patience > 0) await Promise.race([server_, sleep(patience)]);
    const outcomes = await Promise.all([ports ?? caught(lease.close(ms)), server_]);
    // Members' machines reach the database past the firewall: one that did not shut them out is not left to
    // itself.
    if (outcomes[1].kind === 'failed') await caught(lease.end());
    const whys = outcomes.flatMap((one) => (one.kind === 'failed' ? [one.why] : []));
    return whys.length === 0 ? { kind: 'done' } : failed(whys.join('; '));
  }

  return {
    close,
    async open(until, ms) {
      const began = now();
      if (began >= until) return failed('the right has run out');
      right = until;
      shut = false;
      const opened = await caught(lease.renew(until, ms));
      if (opened.kind !== 'done') return opened;
      // A fence-down came in between: what it shut stays shut.
      if (shut) {
        await caught(lease.close());
        return failed('it was closed meanwhile');
      }
      if (now() >= until) {
        await close(ms);
        return failed('the right ran out while opening');
      }
      // Not written when the right is over by then, however long it waits.
      const time = Math.min(ms - (now() - began), until - now());
      const let_in = await caught(server.unfence(Math.max(1, time)));
      if (let_in.kind !== 'done') await caught(lease.close());
      if (!shut) return let_in;
      await close(ms);
      return failed('it was closed meanwhile');
    },
    async extend(until, known = false) {
      if (shut) return failed('it was closed');
      right = until;
      return await caught(known ? lease.renew(until) : lease.keep(until));
    },
  };
}
