import { expect, test } from 'bun:test';
import { count, FRESH, isWeak, type Tally } from '../../agent/checks/tally.ts';

const thresholds = { rise: 2, fall: 3 };
/** `+` good, `-` bad. After each result: P passing, F failing, ? unknown; lower case: weak. */
function states(results: string): string {
  let tally: Tally = FRESH;
  return [...results]
    .map((sign) => {
      tally = count(tally, sign === '+', thresholds);
      const letter = { passing: 'P', failing: 'F', unknown: '?' }[tally.state];
      return isWeak(tally) ? letter.toLowerCase().replace('?', 'u') : letter;
    })
    .join('');
}

test('a check fails after `fall` bad results in a row, and passes again after `rise` good ones', () => {
  expect(states('+---++')).toBe('PppFFP');
});

test('bad results with good ones between them never make it fail', () => {
  expect(states('+--+--+-+--+')).toBe('PppPppPpPppP');
});

test('a failing check does not rise by good results with bad ones between them', () => {
  expect(states('---+-+-')).toBe('uuFFFFF');
});

test('the first good result passes at once; before any, bad ones are counted like later ones', () => {
  expect(states('+')).toBe('P');
  expect(states('---')).toBe('uuF');
  expect(states('--+')).toBe('uuP');
});
