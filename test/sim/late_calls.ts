/**
 * Calls that take effect late: files that do not answer hold back a change that gives something, its caller
 * gives it up, and when they answer it goes on, whatever became of who asked. What it may still write then is
 * said by the claims of the real driver, on the machine's clock.
 */
import { type Claim, createClaims, type Matter } from '../../agent/roles/postgres/claims.ts';
import type { Agent } from './agent.ts';
import type { Machine } from './machine.ts';
import type { Desk } from './pg_desk.ts';

export type Taken = { matter: Matter; claim: Claim };

export class LateCalls {
  readonly claims = createClaims();
  private readonly unclaimed: Matter | undefined;
  private readonly machine: Machine;
  /** True time until which files do not answer. */
  private until = Number.NEGATIVE_INFINITY;

  constructor(machine: Machine, unclaimed: Matter | undefined) {
    this.machine = machine;
    this.unclaimed = unclaimed;
  }

  hold(until: number): void {
    this.until = Math.max(this.until, until);
  }

  heldFor(now: number): number {
    return Math.max(0, this.until - now);
  }

  /** `ms`: its deadline; null: it only shuts. */
  take(matter: Matter, ms: number | null): Taken {
    const end = ms === null ? null : this.machine.now() + ms;
    const over = (at: number) => this.machine.now() >= at;
    const deadline =
      end === null ? null : { left: () => Math.max(0, end - this.machine.now()), over: () => over(end) };
    return { matter, claim: this.claims.take(matter, deadline) };
  }

  /** Why it may not be written; null: it may. */
  voidness({ matter, claim }: Taken): string | null {
    if (matter === this.unclaimed) return null;
    try {
      claim.check();
      return null;
    } catch (why) {
      return (why as Error).message;
    }
  }
}

export type Later = (ms: number, run: () => void) => void;

/**
 * A change in the driver's files after `latency`, or later when they do not answer; then it no longer belongs
 * to the agent that asked. `write` goes on with what outlives whom.
 */
export function change(
  desk: Pick<Desk, 'world' | 'node' | 'machine' | 'now'>,
  agent: Agent,
  claim: Taken,
  gives: boolean,
  latency: number,
  write: (later: Later) => void,
  refused: (why: string) => void,
): void {
  const { world, node, machine, now } = desk;
  const held = gives ? node.late.heldFor(now()) : 0;
  const later: Later = (ms, run) => void (held > 0 ? machine.later(ms, run) : agent.later(ms, run));
  later(held + latency, () => {
    const why = node.late.voidness(claim);
    if (held > 0) world.note(node.name, `a call that hung goes on: ${why ?? 'written'}`);
    if (why === null) write(later);
    else refused(why);
  });
}
