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

test('a flood from everywhere writes a line a second beyond the first few, with how many there were and from how many addresses', () => {
  let time = 0;
  const written: string[] = [];
  const { refuse, turn } = refusals(
    (line) => written.push(line),
    () => time,
  );
  // A minute of a thousand a second, from 256 addresses.
  for (let i = 0; i < 60_000; i += 1) {
    time = i;
    refuse({ ...entry(`10.0.${i & 255}.1`), who: `unproven:${i}` });
  }
  expect(written).toHaveLength(30 + 60);
  expect(written[29]).toBe(auditLine({ ...entry('10.0.29.1'), who: 'unproven:29' }));
  const more = (count: number, addresses: number, last: number) =>
    `audit: ${count} more refused, different addresses: ${addresses}, the last: who="unproven:${last}" from="10.0.${last & 255}.1" what="GET /api/v1/status" outcome="401 unauthorized"`;
  expect(written.slice(30, 32)).toEqual([more(1, 1, 30), more(999, 256, 1029)]);
  // What is left is told by whatever is asked next, and who comes in a minute of its own has a line again.
  time = 61_000;
  turn();
  expect(written.slice(90)).toEqual([more(970, 256, 59_999)]);
  refuse(entry('10.0.0.2'));
  expect(written.slice(91)).toEqual([auditLine(entry('10.0.0.2'))]);
});

test('addresses of a flood are told apart in bounded room', () => {
  let time = 0;
  const written: string[] = [];
  const { refuse, turn } = refusals(
    (line) => written.push(line),
    () => time,
  );
  for (let i = 0; i < 20_000; i += 1) refuse(entry(`10.${i >> 8}.${i & 255}.1`));
  time = 1000;
  turn();
  expect(written.at(-1)).toContain(
    'audit: 19969 more refused, different addresses: 10000 or more, the last:',
  );
});
