import { describe, expect, test } from 'bun:test';
import { LONGEST, lineCutter, parseOrder } from '../../agent/lease_helper/protocol.ts';
import { Random } from '../sim/random.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

describe('orders', () => {
  test('a deadline in hundredths and a close are understood', () => {
    expect(parseOrder('renew 12345.67')).toEqual({ do: 'renew', deadline: 12_345.67 });
    expect(parseOrder('renew 0.00')).toEqual({ do: 'renew', deadline: 0 });
    expect(parseOrder('extend 12345.67')).toEqual({ do: 'extend', deadline: 12_345.67 });
    expect(parseOrder('close')).toEqual({ do: 'close' });
    expect(parseOrder('limit 4.00')).toEqual({ do: 'limit', seconds: 4 });
    expect(parseOrder('limit 0.25')).toEqual({ do: 'limit', seconds: 0.25 });
    expect(parseOrder('limit 9999.99')).toEqual({ do: 'limit', seconds: 9999.99 });
  });

  test.each([
    '',
    'renew',
    'renew 1',
    'renew 1.2',
    'extend',
    'extend 1.2',
    'extend renew 1.00',
    'renew 1.234',
    'renew -1.00',
    'renew +1.00',
    'renew 01.00',
    'renew 1e9.00',
    'renew Infinity',
    'renew NaN',
    'renew 99999999999.00',
    'renew  1.00',
    'renew 1.00 ',
    ' close',
    'close ',
    'CLOSE',
    'close 1',
    'add cloudify-lease 22',
    'save -file /etc/passwd',
    'renew 1.00; id',
    'renew 1.00\r',
    'limit',
    'limit 4',
    'limit 4.0',
    'limit 0.00',
    'limit 04.00',
    'limit -4.00',
    'limit 1e3.00',
    'limit NaN',
    'limit 10000.00',
    'limit 4.00 ',
    'limit off',
  ])('%p is no order', (line) => {
    expect(parseOrder(line)).toBeUndefined();
  });

  test('whatever comes, only the two forms are orders, and they survive any cut of the stream', () => {
    const source = new Random(7);
    const next = (below: number) => source.int(below);
    const alphabet = 'renewclos 0123456789.\n-+;$`"\\/xE\t';
    for (let round = 0; round < 3000; round++) {
      const text = Array.from({ length: next(40) }, () => alphabet[next(alphabet.length)]).join('');
      const order = parseOrder(text);
      if (order !== undefined) expect(text).toMatch(/^(close|renew \d+\.\d\d)$/);
    }
    for (let round = 0; round < 500; round++) {
      const said = Array.from({ length: 5 }, () =>
        next(2) === 0 ? 'close\n' : `renew ${(next(1e6) / 7).toFixed(2)}\n`,
      );
      const all = bytes(said.join(''));
      const cut = lineCutter();
      const heard: string[] = [];
      for (let at = 0; at < all.length; ) {
        const size = 1 + next(9);
        heard.push(...(cut(all.subarray(at, at + size)) ?? ['broken']));
        at += size;
      }
      expect(heard.map((line) => `${line}\n`)).toEqual(said);
      expect(heard.every((line) => parseOrder(line) !== undefined)).toBe(true);
    }
  });
});

describe('the stream', () => {
  test('is dead once a line is too long, before its end is seen', () => {
    const cut = lineCutter();
    expect(cut(bytes('x'.repeat(LONGEST)))).toEqual([]);
    expect(cut(bytes('x'))).toBeUndefined();
    expect(cut(bytes('\nclose\n'))).toBeUndefined();
  });

  test.each([[0], [13], [9], [127], [200], [255]])('is dead at byte %p', (byte) => {
    const cut = lineCutter();
    expect(cut(new Uint8Array([99, byte]))).toBeUndefined();
    expect(cut(bytes('close\n'))).toBeUndefined();
  });
});
