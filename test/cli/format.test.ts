import { expect, test } from 'bun:test';
import { bytes, duration, lsn, rate, time } from '../../cli/common/format.ts';
import { facts, table } from '../../cli/common/table.ts';

test('bytes are in powers of 1024 with two digits that matter', () => {
  const shown = [0, 1023, 1024, 1536, 10 * 1024, 16 * 1024 ** 2, 1.5 * 1024 ** 3, 5 * 1024 ** 5].map(bytes);
  expect(shown).toEqual(['0 B', '1023 B', '1 kB', '1.5 kB', '10 kB', '16 MB', '1.5 GB', '5120 TB']);
});

test('durations carry the units that people would say', () => {
  const shown = [0, 240, 12_345, 125_000, 3_600_000, 11_000_000, 90_000_000].map(duration);
  expect(shown).toEqual(['0.00 s', '0.24 s', '12.3 s', '2 min 5 s', '1 h 0 min', '3 h 3 min', '1 d 1 h']);
});

test('a rate needs a time long enough to tell', () => {
  expect([rate(1024 * 1024, 2000), rate(1024, 99)]).toEqual(['512 kB/s', '']);
});

test('positions are shown as PostgreSQL writes them, times without a fraction', () => {
  expect([lsn('83886176'), lsn('4294967297'), lsn('0/1'), lsn(null)]).toEqual([
    '0/5000060',
    '1/1',
    '0/1',
    '-',
  ]);
  expect([time('2026-01-02T03:04:05.678Z'), time(null)]).toEqual(['2026-01-02 03:04:05Z', '-']);
});

test('a table is aligned, ends no line with spaces, and has colour only where asked for', () => {
  type Row = { a: string; n: number };
  const columns = [
    { title: 'a', value: ({ a }: Row) => a, color: () => 'red' as const },
    { title: 'count', value: ({ n }: Row) => String(n), align: 'right' as const },
    { title: 'note', value: ({ n }: Row) => (n > 5 ? 'many' : '') },
  ];
  const rows = [
    { a: 'x', n: 1 },
    { a: 'long', n: 10 },
  ];
  expect(table(columns, rows)).toBe('a     count  note\nx         1\nlong     10  many\n');
  expect(table(columns, rows, true)).toContain('\u001b[31mx   \u001b[39m      1');
});

test('facts are aligned, and what is empty is left out', () => {
  expect(
    facts([
      ['a', '1'],
      ['none', ''],
      ['longer', '2'],
    ]),
  ).toBe('a       1\nlonger  2\n');
});
