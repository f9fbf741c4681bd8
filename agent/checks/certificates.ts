/**
 * Do this node's certificates end soon? The agent renews its own long before; a warning means that it could
 * not.
 */
import { type Check, type CheckResult, fail, pass, warn } from './port.ts';

const DAY = 86_400_000;

/** `expiries`: what ends when, in ms since 1970. `soon`: ms. `wall`: the time of day. */
export function certificates(
  expiries: () => readonly { readonly what: string; readonly notAfter: number }[],
  soon: number,
  wall: () => number,
): Check {
  return {
    name: 'certificates',
    async run(): Promise<CheckResult> {
      const all = expiries();
      const now = wall();
      const over = all.filter(({ notAfter }) => notAfter <= now).map(({ what }) => what);
      if (over.length > 0) return fail(`expired: ${over.join(', ')}`);
      const near = all.filter(({ notAfter }) => notAfter - now < soon);
      if (near.length === 0) return pass('no certificate expires soon');
      // Whole days: the text is to stay the same while nothing changes.
      const days = near.map(({ what, notAfter }) => `${what} in ${Math.ceil((notAfter - now) / DAY)} d`);
      return warn(`certificates end: ${days.join(', ')}`);
    },
  };
}
