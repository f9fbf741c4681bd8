import { describe, expect, test } from 'bun:test';
import { createBackoff } from '../../../agent/roles/postgres/backoff.ts';
import { entriesOf } from '../../../agent/roles/postgres/complaint.ts';

const trouble = (file: string, text: string) =>
  entriesOf(file, text)
    .filter(({ news }) => !news)
    .map((entry) => entry.text);

describe('what tells of trouble', () => {
  test('in plain text is told by another word than that of the first line, in any language', () => {
    const text = `2026-11-28 03:09 GMT [1] СООБЩЕНИЕ:  запускается PostgreSQL 15.18 (Debian)
2026-11-28 03:09 GMT [2] СООБЩЕНИЕ:  неверная запись
2026-11-28 03:09 GMT [2] ПАНИКА:  не удалось найти запись
\tпродолжение
2026-11-28 03:09 GMT [1] СООБЩЕНИЕ:  система выключена
`;
    expect(trouble('log', text)).toEqual(['не удалось найти запись']);
  });
  test('in csvlog and jsonlog by its SQLSTATE', () => {
    const head = '2026-11-28 03:09:55 GMT,,,4711,"a:1",6.1,1,"авторизация",2026-11-28,3/0,0';
    const csv = `cut,off\n${head},СООБЩЕНИЕ,00000,"a ""b""\nc",,,,,,,,,"","postmaster",,0\n${head},ПАНИКА,XX000,"no, record","why",,,,,,,,"","startup",,0\n`;
    expect(trouble('x.csv', csv)).toEqual(['no, record; why']);
    expect(entriesOf('x.csv', csv)[0]).toEqual({ news: true, text: 'a "b"\nc' });
    const json =
      '"cut"}\n{"error_severity":"СООБЩЕНИЕ","message":"a"}\n{"state_code":"XX000","message":"b","hint":"c"}\n';
    expect(trouble('x.json', json)).toEqual(['b; c']);
  });
});

describe('a start that failed', () => {
  test('is tried again at once, then later and later, until it works; each role for itself', () => {
    let now = 0;
    const backoff = createBackoff(() => now);
    const pauses = Array.from({ length: 8 }, () => {
      backoff.failed('primary', 'why');
      const before = now;
      while (backoff.early('primary') !== null) now += 100;
      return now - before;
    });
    expect(pauses).toEqual([0, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
    backoff.failed('primary', 'why');
    expect(backoff.early('primary')).toBe('why (tried 9 times; again in 10 s)');
    expect(backoff.early('standby')).toBeNull();
    backoff.clear();
    expect(backoff.early('primary')).toBeNull();
  });
});
