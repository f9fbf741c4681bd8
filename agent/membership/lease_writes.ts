/**
 * What the active writes of members: each a transaction under its lease (PROTOCOL B.6), one after the other.
 */
import { renewWith } from '../core/lease.ts';
import type { TxnOp } from '../core/ports.ts';
import type { View } from '../core/records.ts';
import { AgentError } from '../errors.ts';
import { drive } from '../node/drive.ts';
import type { Member } from '../node/member.ts';
import type { Time } from '../platform/clock.ts';
import { createSerial } from '../platform/serial.ts';

/** Until the watcher has seen what was just written, ms. */
const SEEN = 2000;

export interface LeaseWrites {
  /**
   * Throws transient `consul_unknown` when it was not confirmed. This node's view has it when it returns, by
   * `seen`.
   */
  write(ops: TxnOp[], seen: (view: View) => boolean): Promise<void>;
  /**
   * A reservation that is kept alive must not come back behind the record it became: one body at a time, in
   * order.
   */
  inTurn<T>(body: () => Promise<T>): Promise<T>;
}

export function leaseWrites({ node, ports }: Pick<Member, 'node' | 'ports'>, time: Time): LeaseWrites {
  return {
    async write(ops, seen) {
      const outcome = await drive(renewWith(node, ops), ports);
      if (outcome !== 'ok')
        throw new AgentError({
          class: 'transient',
          code: 'consul_unknown',
          message: `not written: ${outcome}`,
          hint: 'run the command again',
        });
      const until = time.now() + SEEN;
      while ((node.view === null || !seen(node.view)) && time.now() < until) await time.sleep(10);
    },
    inTurn: createSerial(),
  };
}
