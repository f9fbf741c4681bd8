import { describe, expect, test } from 'bun:test';
import { Buffer } from 'node:buffer';
import { decode, encode, frames } from '../../../agent/roles/postgres_helper/wire.ts';

describe('frames', () => {
  test('LSNs come out as they went in, beside every other value', () => {
    const value = { a: [0n, 2n ** 63n, null, 'x\n"', 1.5], b: { $n: 1 }, c: { d: true } };
    expect(decode(encode(value))).toEqual(value);
    expect(encode(value).indexOf('\n')).toBe(encode(value).length - 1);
  });

  test('are put together from any pieces, characters of several bytes included', () => {
    const sent = [{ text: 'ü€𐍈' }, { n: 7n }, []];
    const bytes = Buffer.from(sent.map(encode).join(''));
    for (const size of [1, 2, 3, 7, 1000]) {
      const seen: unknown[] = [];
      const read = frames((message) => seen.push(message));
      for (let at = 0; at < bytes.length; at += size) read(bytes.subarray(at, at + size));
      expect(seen).toEqual(sent);
    }
  });

  test('that never end or are no JSON are refused', () => {
    const read = frames(() => {});
    const piece = Buffer.alloc(1024 * 1024, 'x');
    expect(() => {
      for (let i = 0; i < 5; i++) read(piece);
    }).toThrow('too long');
    expect(() => frames(() => {})('nonsense\n')).toThrow();
  });
});
