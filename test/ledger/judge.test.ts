import { describe, expect, test } from 'bun:test';
import { balance, hung, longestGap, overlaps, reigns } from './judge.ts';
import type { Attempt } from './writer.ts';

/** A write acknowledged 4 ms after it was sent. */
const ack = (node: string, sent: number, over: Partial<Attempt> = {}): Attempt => ({
  node,
  token: `${node}-${sent}`,
  sent,
  answered: sent + 4,
  outcome: 'acknowledged',
  ...over,
});
/** A write every 20 ms. */
const steady = (node: string, from: number, to: number): Attempt[] =>
  Array.from({ length: Math.ceil((to - from) / 20) }, (_, index) => ack(node, from + index * 20));

describe('longestGap', () => {
  test('is the outage between two nodes, wherever the writes went', () => {
    const gap = longestGap([...steady('n1', 0, 1000), ...steady('n2', 1400, 2000)], 500, 1800);
    expect(gap).toEqual({ ms: 420, from: 984, to: 1404 });
  });

  test('counts from the last write before the mark, so that a late mark hides nothing', () => {
    expect(longestGap([...steady('n1', 0, 1000), ...steady('n2', 1400, 2000)], 1300).ms).toBe(420);
  });

  test('counts to the first write after the end mark', () => {
    expect(longestGap([...steady('n1', 0, 1000), ...steady('n2', 1400, 2000)], 500, 1100).ms).toBe(420);
  });

  test('is infinite when no write was acknowledged any more', () => {
    expect(longestGap(steady('n1', 0, 1000), 1000).ms).toBe(Number.POSITIVE_INFINITY);
  });

  test('does not take a warned, unknown or refused attempt for an acknowledgement', () => {
    const others = (['warned', 'unknown', 'refused'] as const).map((outcome) => ack('n1', 1200, { outcome }));
    expect(longestGap([...steady('n1', 0, 1000), ...others, ...steady('n2', 1400, 2000)], 500).ms).toBe(420);
  });
});

describe('overlaps', () => {
  test('finds none when the role went there and back', () => {
    const there = [...steady('n1', 0, 1000), ...steady('n2', 1300, 2000), ...steady('n1', 2300, 3000)];
    expect(overlaps(there)).toEqual([]);
  });

  test('finds a single late write of the former active', () => {
    const found = overlaps([...steady('n1', 0, 1000), ...steady('n2', 1300, 2000), ack('n1', 1607)]);
    expect(found.map(({ node, other, at }) => ({ node, other, at }))).toEqual([
      { node: 'n1', other: 'n2', at: 1611 },
    ]);
  });

  test('finds two nodes that both go on', () => {
    const both = [...steady('n1', 0, 1000), ...steady('n2', 507, 1000)];
    expect(overlaps(both).length).toBeGreaterThan(20);
  });

  test('finds none where one write was under way while the other node answered: the order cannot be told', () => {
    expect(overlaps([...steady('n2', 0, 1000), ack('n1', 90, { answered: 960 })])).toEqual([]);
  });
});

test('reigns are told one after the other', () => {
  const all = [...steady('n1', 0, 100), ...steady('n2', 300, 400), ...steady('n1', 600, 700)];
  expect(reigns(all).map(({ node, writes }) => [node, writes])).toEqual([
    ['n1', 5],
    ['n2', 5],
    ['n1', 5],
  ]);
});

test('a balance names acknowledged writes that are not there, and does not miss unknown ones', () => {
  const attempts = [
    ack('n1', 0),
    ack('n1', 20),
    ack('n1', 40, { outcome: 'unknown' }),
    ack('n1', 60, { outcome: 'unknown' }),
    ack('n1', 80, { outcome: 'warned' }),
    ack('n1', 100, { outcome: 'refused' }),
  ];
  expect(balance(attempts, new Set(['n1-0', 'n1-40', 'n1-100']))).toEqual({
    acknowledged: 2,
    warned: 1,
    unknown: 2,
    refused: 1,
    lost: ['n1-20'],
    phantoms: ['n1-100'],
    unknownFound: 1,
    found: 3,
  });
});

describe('hung', () => {
  const writes = [...steady('n1', 0, 1000), ...steady('n2', 5000, 6000)];
  const wait = (node: string, began: number, ended: number | null = null) => ({ node, began, ended });

  test('is who waits still on a node after another one has accepted writes', () => {
    expect(hung([wait('n1', 100)], writes)).toEqual([wait('n1', 100)]);
  });

  test('is nobody who was told, or who waits on the active', () => {
    expect(hung([wait('n1', 100, 5200), wait('n2', 5100)], writes)).toEqual([]);
  });

  test('is nobody who began when the node was the active once more', () => {
    expect(hung([wait('n1', 7000)], [...writes, ...steady('n1', 6900, 8000)])).toEqual([]);
  });
});
