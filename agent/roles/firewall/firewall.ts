/**
 * The firewall as the agent asks for it, over the trampoline. Opening and shutting client ports is the kernel
 * lease's.
 */
import { createSerial } from '../../platform/serial.ts';
import type { FirewallRole } from '../../trampoline/names.ts';

export interface Firewall {
  /**
   * The rules of this role. Not needed for a role change: the lease's helper applies them as it opens and
   * shuts.
   */
  role(role: FirewallRole): Promise<void>;
  /**
   * Exactly these may replicate, reach Consul and the files. Nothing is done when they are the ones of last
   * time.
   */
  peers(addresses: readonly string[]): Promise<void>;
}

/** `call` is the trampoline: it rejects with an AgentError. */
export function createFirewall(call: (verb: string, ...args: string[]) => Promise<void>): Firewall {
  let known: string | null = null;
  /** One at a time: what was asked for last is what stays. */
  const inTurn = createSerial();
  async function peers(addresses: readonly string[]): Promise<void> {
    const sorted = [...new Set(addresses)].sort();
    const key = sorted.join(' ');
    if (key === known) return;
    known = null;
    await call('peers', ...sorted);
    known = key;
  }
  return {
    role: (role) => call('firewall', role),
    peers: (addresses) => inTurn(() => peers(addresses)),
  };
}
