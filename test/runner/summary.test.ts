import { describe, expect, test } from 'bun:test';
import { bunSummary, failedTests, judge } from './summary.ts';

const good = ' 12 pass\n 1 skip\n 0 fail\n 30 expect() calls\nRan 13 tests across 2 files. [9.00ms]\n';

describe('judge', () => {
  test('takes the counts of a run that reached its summary', () => {
    expect(judge(good, 0, false)).toEqual({ passed: 12, failed: 0, skipped: 1 });
  });

  test('counts an error between tests as a failure', () => {
    expect(bunSummary(' 3 pass\n 0 fail\n 1 error\n')).toEqual({ passed: 3, failed: 1, skipped: 0 });
  });

  test('counts one failure when the process died before its summary', () => {
    expect(judge('(pass) a\n', 139, false)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  });

  test('counts one failure when the time limit ended it', () => {
    expect(judge('', null, true)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  });

  test('counts one failure when all passed and the exit code says otherwise', () => {
    expect(judge(good, 1, false)).toEqual({ passed: 12, failed: 1, skipped: 1 });
  });

  test('is not taken in by a summary that a test printed itself', () => {
    expect(bunSummary(' 900 pass\n 0 fail\n\n 1 pass\n 2 fail\n')).toEqual({
      passed: 1,
      failed: 2,
      skipped: 0,
    });
  });
});

test('the tests that failed are named once each', () => {
  const again = '1 tests failed:\n\u001b[31m(fail) b > c\u001b[0m\n';
  expect(failedTests(`(pass) a\n(fail) b > c\nnot (fail) d\n${again}`)).toEqual(['(fail) b > c']);
});
