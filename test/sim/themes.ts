/** The storms a run is made of; each as often as it is named. */
import {
  exposed,
  failsafe,
  foreignTail,
  frozenActive,
  frozenBetween,
  lateWrites,
  loneConfirmation,
  lostKeyWrite,
  lostTarget,
  shrinking,
} from './aimed_themes.ts';
import { lateCalls } from './late_theme.ts';
import { randomFaults, restlessStandbys, type Theme } from './theme.ts';

export const themes: Theme[] = [
  randomFaults,
  randomFaults,
  randomFaults,
  randomFaults,
  restlessStandbys,
  restlessStandbys,
  loneConfirmation,
  lostKeyWrite,
  shrinking,
  exposed,
  failsafe,
  lateWrites,
  frozenBetween,
  frozenActive,
  foreignTail,
  lostTarget,
];

/** Those that are asked for by name alone as well: late_calls.test.ts has seeds of its own. */
export const named: Theme[] = [...themes, lateCalls];
