/** Renews this node's certificates by itself: in time before they end, and once for names of their own (names.ts). */
import type { NodeConfig } from '../config/index.ts';
import type { Logger } from '../log/log.ts';
import { renewalDue } from './renew.ts';

export interface RenewalTimerOptions {
  /** Null outside of a cluster. */
  readonly config: () => NodeConfig | null;
  /** Makes them and puts them to use; resolves with what does not use them yet. */
  readonly renew: () => Promise<readonly string[]>;
  /** Do they lack names of their own, that everybody would let in? */
  readonly renaming: () => boolean;
  readonly log: Logger;
  /** Milliseconds since 1970. */
  readonly wall: () => number;
}

const EVERY = 20_000;

/** One look; also what the timer does. True when they were renewed. */
export async function renewIfDue({
  config,
  renew,
  renaming,
  log,
  wall,
}: RenewalTimerOptions): Promise<boolean> {
  const node = config();
  if (node === null || !node.api.tls) return false;
  try {
    if (!renewalDue(node, wall()) && !renaming()) return false;
    const failed = await renew();
    if (failed.length === 0) log.info('the certificates were renewed');
    else log.warn(`the certificates were renewed, but not everything uses them: ${failed.join('; ')}`);
    return true;
  } catch (thrown) {
    log.error('the certificates could not be renewed:', thrown);
    return false;
  }
}

/** Looks now and three times a minute. Returns how to stop it. */
export function renewInTime(options: RenewalTimerOptions): () => void {
  void renewIfDue(options);
  const timer = setInterval(() => void renewIfDue(options), EVERY);
  return () => clearInterval(timer);
}
