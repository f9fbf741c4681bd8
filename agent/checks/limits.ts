/**
 * Time limits of one run, ms, before `check_ttl_multiplier`. They decide how soon a hang is noticed: fall
 * count + limit.
 */
import type { CheckName, CheckSettings } from '../config/checks.ts';

/**
 * A fresh connection takes a few milliseconds; a machine under load still makes it in this share of a second.
 */
const OWN: Partial<Record<CheckName, number>> = {
  postgres_port: 750,
  postgres_select: 750,
  postgres_write: 2000,
};
const LONGEST = 5000;

/**
 * How long a commit may wait for standbys. The list is narrowed, or given up, long before; strict mode waits
 * on purpose.
 */
export const REPLICATION_WAIT = 30_000;

export function limitOf(name: CheckName, { every }: CheckSettings, multiplier: number): number {
  return Math.round(Math.min(OWN[name] ?? LONGEST, every) * multiplier);
}
