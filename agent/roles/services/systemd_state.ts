/** From what systemd says of a unit to what the agent calls its state. Pure. */
import { constants } from 'node:os';
import type { ServiceState } from './driver.ts';
import type { UnitFacts } from './systemd_show.ts';

/**
 * Its process died and systemd waits to start it again: it does not run, whatever `activating` sounds like.
 */
export const restartsItself = (unit: UnitFacts): boolean =>
  unit.active === 'activating' && unit.sub.startsWith('auto-restart');

/**
 * running: it has processes, or is `active` without any (oneshot, forking). Also while it starts or stops:
 * `stopped` is said only of what is gone. A job that still waits makes an inactive unit `unknown`, and so do
 * words that are not known here.
 */
export function stateOf(unit: UnitFacts): ServiceState {
  if (restartsItself(unit)) return 'failed';
  switch (unit.active) {
    case 'active':
    case 'reloading':
    case 'refreshing':
    case 'activating':
    case 'deactivating':
    case 'maintenance':
      return 'running';
    case 'failed':
      return 'failed';
    case 'inactive':
      if (unit.job) return 'unknown';
      return unit.load === 'loaded' || unit.load === 'masked' ? 'stopped' : 'failed';
    default:
      return 'unknown';
  }
}

/** Neither running nor on its way up or down, nor about to be started again. */
export const isDown = (unit: UnitFacts): boolean =>
  !unit.job && (unit.active === 'inactive' || unit.active === 'failed');

/** systemd is done with starting it, well or not. */
export const isStarting = (unit: UnitFacts): boolean =>
  unit.job || (unit.active === 'activating' && !restartsItself(unit));

/** As in a shell: 128 + signal for a death by signal. Undefined while it has not ended. */
export function exitCodeOfUnit({ ended }: UnitFacts): number | undefined {
  if (!ended) return undefined;
  return ended.how === 'exited' ? ended.status : 128 + ended.status;
}

export function signalOfUnit({ ended }: UnitFacts): string | undefined {
  if (!ended || ended.how === 'exited') return undefined;
  return Object.entries(constants.signals).find(([, number]) => number === ended.status)?.[0];
}

/** In words, for an error message. */
export function complaintOf(unit: UnitFacts): string {
  if (unit.load === 'not-found') return 'there is no such unit';
  if (unit.load === 'masked') return 'it is masked';
  const { ended } = unit;
  const exit =
    ended && (ended.how === 'exited' ? `exit code ${ended.status}` : (signalOfUnit(unit) ?? ended.how));
  const state = `${unit.active} (${unit.sub})`;
  return `${state}${unit.result === 'success' ? '' : `, ${unit.result}`}${exit === undefined ? '' : `, ${exit}`}`;
}
