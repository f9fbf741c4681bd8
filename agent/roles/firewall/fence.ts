/**
 * The fence of a manager's VM: PostgreSQL's own (pg_hba, sessions ended) and the kernel lease. Either alone keeps clients
 * out; both are always attempted.
 */
import type { Outcome } from '../../core/postgres.ts';
import type { KernelLease } from './kernel_lease.ts';

export interface ServerFence {
  fence(ms: number): Promise<Outcome>;
  unfence(ms: number): Promise<Outcome>;
}

export interface Fence {
  close(ms: number): Promise<Outcome>;
  open(until: number, ms: number): Promise<Outcome>;
  extend(until: number): void;
}

const failed = (why: string): Outcome => ({ kind: 'failed', why });
const caught = (work: Promise<Outcome>): Promise<Outcome> =>
  work.catch((thrown) => failed(thrown instanceof Error ? thrown.message : String(thrown)));

/** `now`: the clock of `until`. `warn` hears of a renewal that did not reach the kernel, once until one does again. */
export function firewallFence(
  server: ServerFence,
  lease: KernelLease,
  now: () => number,
  warn: (line: string) => void,
): Fence {
  let right = 0;
  let silent = true;

  /**
   * While the right lasts, the server goes first: its sessions tell their clients that it is over, which a shut port would
   * swallow, and a client that waits for an answer would wait for its own time limit. Past the right, everything at once.
   */
  async function close(ms: number): Promise<Outcome> {
    const patience = Math.min(ms / 2, right - now());
    right = 0;
    const server_ = caught(server.fence(ms));
    if (patience > 0)
      await Promise.race([server_, new Promise<void>((done) => setTimeout(done, patience))]);
    const outcomes = await Promise.all([caught(lease.close(ms)), server_]);
    const whys = outcomes.flatMap((one) => (one.kind === 'failed' ? [one.why] : []));
    return whys.length === 0 ? { kind: 'done' } : failed(whys.join('; '));
  }

  return {
    close,
    async open(until, ms) {
      const began = now();
      if (began >= until) return failed('the right has run out');
      right = until;
      const opened = await caught(lease.renew(until, ms));
      if (opened.kind !== 'done') return opened;
      if (now() >= until) {
        await close(ms);
        return failed('the right ran out while opening');
      }
      const let_in = await caught(server.unfence(Math.max(1, ms - (now() - began))));
      if (let_in.kind !== 'done') await caught(lease.close());
      return let_in;
    },
    extend(until) {
      right = until;
      void lease.renew(until).then((outcome) => {
        if (outcome.kind === 'done') silent = true;
        else if (right !== 0 && silent) {
          silent = false;
          warn(`the kernel lease was not extended, client ports will shut: ${outcome.why}`);
        }
      });
    },
  };
}
