import { expect, test } from 'bun:test';
import { auditLine, quoted, refusals } from '../../agent/http/audit.ts';

const entry = (from: string) => ({
  who: 'nobody',
  from,
  what: 'GET /api/v1/status',
  outcome: '401 unauthorized',
});

test('a value is on one line, in quotes and ASCII, and cut', () => {
  expect(quoted('a"b\\c\nd\u2028e\u007f\u009b')).toBe('"a\\"b\\\\c\\nd\\u2028e\\u007f\\u009b"');
  expect(quoted('é😀')).toBe('"\\u00e9\\ud83d\\ude00"');
  expect(quoted('x'.repeat(5000)).length).toBeLessThan(150);
});

test('a refusal that is repeated is written once a minute, and then with how often it came', () => {
  let time = 0;
  const written: string[] = [];
  const { refuse, turn } = refusals(
    (line) => written.push(line),
    () => time,
  );
  for (let i = 0; i < 50; i += 1) refuse(entry('10.0.0.1'));
  expect(written).toEqual([auditLine(entry('10.0.0.1'))]);
  turn();
  expect(written).toHaveLength(1);
  time = 60_000;
  turn();
  expect(written.slice(1)).toEqual([auditLine(entry('10.0.0.1'), 49)]);
  refuse(entry('10.0.0.2'));
  expect(written.slice(2)).toEqual([auditLine(entry('10.0.0.2'))]);
});

test('a flood from everywhere writes a bounded number of lines, and says how many it did not', () => {
  let time = 0;
  const written: string[] = [];
  const { refuse } = refusals(
    (line) => written.push(line),
    () => time,
  );
  for (let i = 0; i < 10_000; i += 1) refuse(entry(`10.${i >> 8}.${i & 255}.1`));
  expect(written).toHaveLength(300);
  time = 61_000;
  refuse(entry('10.0.0.2'));
  expect(written.slice(300)).toEqual([
    'audit: 9700 more refusals were not written, over 300 different ones in a minute',
    auditLine(entry('10.0.0.2')),
  ]);
});
