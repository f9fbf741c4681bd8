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
import { badRecords } from './bad_records.ts';
import { aheadOfTheFork } from './branch_themes.ts';
import { lateCalls } from './late_theme.ts';
import { leaseTimes } from './lease_times.ts';
import { copiedAgain, staleReads } from './rare_themes.ts';
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
  aheadOfTheFork,
  badRecords,
  leaseTimes,
  lateCalls,
  staleReads,
  copiedAgain,
];
