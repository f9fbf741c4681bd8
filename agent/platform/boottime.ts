/**
 * CLOCK_BOOTTIME in seconds: the one clock that processes on a machine share, and that goes on while it
 * sleeps.
 */
import { readFileSync } from 'node:fs';

/** Hundredths of a second, rounded down: never later than it is. Throws where /proc does not say. */
export function boottime(): number {
  const value = Number.parseFloat(readFileSync('/proc/uptime', 'utf8'));
  if (!Number.isFinite(value))
    throw new Error('/proc/uptime does not say how long this machine has been running');
  return value;
}
