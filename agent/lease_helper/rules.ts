/** Which rules are in force, as the helper's own doing: one change at a time, in order. */
import { messageOf } from '../errors.ts';
import { createSerial } from '../platform/serial.ts';
import { applyRole, applySets, ensureHooks } from '../roles/firewall/apply.ts';
import { SETS_FILE } from '../roles/firewall/names.ts';
import type { FirewallRole } from '../trampoline/names.ts';
import type { GateHands } from './gate_hands.ts';

export function createRules(dir: string, say: GateHands['say']) {
  /** What this process put in force last; null: it does not know. */
  let known: FirewallRole | null = null;
  const inTurn = createSerial();
  const failing = (what: string) => (thrown: unknown) => say('error', `${what}: ${messageOf(thrown)}`);

  const apply = (role: FirewallRole): Promise<void> =>
    inTurn(async () => {
      known = null;
      await applyRole(dir, role).catch(async () => {
        // The sets may have gone with somebody's cleaning: the rules cannot name what is not there.
        await applySets(dir, SETS_FILE);
        await applyRole(dir, role);
      });
      known = role;
    });

  /** Whoever else cleans up the tables does not know our chains. */
  function hook(): void {
    inTurn(async () => {
      const mended = await ensureHooks();
      if (mended.length > 0) say('warn', `our chains were not hooked in first: ${mended.join(', ')}`);
    }).catch(failing('hooking in the rules'));
  }

  return {
    apply,
    hook,
    /**
     * Rules that go by the lease, and refuse aloud without it: those of a standby. The active's drop in
     * silence, which costs a client that knocks too early the second until it knocks again; they come once
     * the ports are open. If somebody else applied the fenced ones meanwhile, clients wait that much longer.
     */
    async opening(): Promise<void> {
      if (known !== 'standby' && known !== 'active') await apply('standby');
    },
    opened(): void {
      apply('active').catch(failing('applying the rules of an active'));
      hook();
    },
  };
}
