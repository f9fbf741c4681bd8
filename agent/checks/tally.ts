/** Rise and fall: how results in a row become a state. Pure. */

export interface Tally {
  /** unknown: no result yet. */
  readonly state: 'unknown' | 'passing' | 'failing';
  /** Results in a row that speak against the state. */
  readonly against: number;
}

export const FRESH: Tally = { state: 'unknown', against: 0 };

export interface Thresholds {
  readonly rise: number;
  readonly fall: number;
}

/** The first good result passes at once: there is no failure to have risen from. */
export function count(tally: Tally, good: boolean, { rise, fall }: Thresholds): Tally {
  if (good) {
    const against = tally.state === 'failing' ? tally.against + 1 : rise;
    return against >= rise ? { state: 'passing', against: 0 } : { state: 'failing', against };
  }
  if (tally.state === 'failing') return { state: 'failing', against: 0 };
  const against = tally.against + 1;
  return against >= fall ? { state: 'failing', against: 0 } : { state: tally.state, against };
}

/** Failed, but not often enough yet. */
export const isWeak = (tally: Tally): boolean => tally.state !== 'failing' && tally.against > 0;

/** The next result may change the state. */
export const isUnsettled = (tally: Tally): boolean => tally.against > 0;
