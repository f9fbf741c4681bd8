import { describe, expect, test } from 'bun:test';
import {
  formatLsn,
  historyFileName,
  parseHistory,
  parseHistoryFileName,
  parseLsn,
  parseWalFileName,
} from '../../agent/core/lsn.ts';

describe('LSN', () => {
  test('text and bytes are converted both ways', () => {
    expect(parseLsn('1/2A')).toBe(0x10000002an);
    expect(formatLsn(0x10000002an)).toBe('1/2A');
    expect(formatLsn(0n)).toBe('0/0');
    expect(parseLsn('FFFFFFFF/FFFFFFFF')).toBe(0xffffffffffffffffn);
  });
  test.each(['', '1', '1/', '/1', '1/2/3', '123456789/0', 'x/1'])(
    '%p is refused, not read as zero',
    (text) => {
      expect(() => parseLsn(text)).toThrow('not an LSN');
    },
  );
});

describe('WAL file names', () => {
  test('a name gives its timeline and first byte, also when partial or of another segment size', () => {
    expect(parseWalFileName('000000040000000000000005')).toEqual({ timeline: 4, start: 0x5000000n });
    expect(parseWalFileName('000000040000000000000005.partial')).toEqual({ timeline: 4, start: 0x5000000n });
    expect(parseWalFileName('000000010000000100000003', 64n << 20n)?.start).toBe(0x10c000000n);
    expect(parseWalFileName('00000004.history')).toBeNull();
  });
});

describe('timeline history', () => {
  test('lines are read oldest first, comments and a missing reason included', () => {
    const text = '1\t0/40180C0\tno recovery target specified\n\n# note\n4\t1/0\n';
    expect(parseHistory(text)).toEqual([
      { tli: 1, lsn: 0x40180c0n },
      { tli: 4, lsn: 1n << 32n },
    ]);
  });
  test('a placeholder has no parents', () => expect(parseHistory('# reserved\n')).toEqual([]));
  test('a torn line throws', () =>
    expect(() => parseHistory('1\t0/')).toThrow('not a timeline history line'));
  test('a history that goes back throws', () => {
    expect(() => parseHistory('2\t0/1\tx\n1\t0/2\tx\n')).toThrow('does not ascend');
  });
  test('file names are hexadecimal', () => {
    expect(historyFileName(26)).toBe('0000001A.history');
    expect(parseHistoryFileName('0000001A.history')).toBe(26);
    expect(parseHistoryFileName('0000001A0000000000000001')).toBeNull();
  });
});
