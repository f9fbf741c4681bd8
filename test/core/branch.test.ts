import { describe, expect, test } from 'bun:test';
import { commonEnd, compareBranch } from '../../agent/core/branch.ts';

const on = (timeline: number, ...history: [number, bigint][]) => ({
  timeline,
  history: history.map(([tli, lsn]) => ({ tli, lsn })),
});
const at = (lsn: bigint, branch: ReturnType<typeof on>) => ({ ...branch, lsn });

describe('compareBranch', () => {
  test('the same timeline is contained at any position', () => {
    expect(compareBranch(at(500n, on(1)), on(1))).toEqual({ kind: 'contained' });
    expect(compareBranch(at(500n, on(4, [1, 100n])), on(4, [1, 100n]))).toEqual({ kind: 'contained' });
  });
  test('an ancestor is contained up to the fork, and diverged one byte past it', () => {
    expect(compareBranch(at(100n, on(1)), on(4, [1, 100n]))).toEqual({ kind: 'contained' });
    expect(compareBranch(at(101n, on(1)), on(4, [1, 100n]))).toEqual({
      kind: 'diverged',
      fork: { tli: 1, lsn: 100n },
    });
  });
  test('an ancestor two promotions back is contained up to where it was left', () => {
    const leader = on(4, [1, 100n], [2, 200n]);
    expect(compareBranch(at(90n, on(1)), leader).kind).toBe('contained');
    expect(compareBranch(at(200n, on(2, [1, 100n])), leader).kind).toBe('contained');
    expect(compareBranch(at(201n, on(2, [1, 100n])), leader)).toEqual({
      kind: 'diverged',
      fork: { tli: 2, lsn: 200n },
    });
  });
  test('a foreign promotion from the common ancestor is diverged at the earlier fork', () => {
    expect(compareBranch(at(150n, on(2, [1, 90n])), on(4, [1, 100n]))).toEqual({
      kind: 'diverged',
      fork: { tli: 1, lsn: 90n },
    });
    expect(compareBranch(at(150n, on(2, [1, 120n])), on(4, [1, 100n]))).toEqual({
      kind: 'diverged',
      fork: { tli: 1, lsn: 100n },
    });
  });
  test('two timelines 2 that forked at different places are not one (the number lies)', () => {
    expect(compareBranch(at(150n, on(2, [1, 90n])), on(2, [1, 100n]))).toEqual({
      kind: 'diverged',
      fork: { tli: 1, lsn: 90n },
    });
  });
  test('a leader that is still on the ancestor of the own promotion: diverged, the promotion is foreign', () => {
    expect(compareBranch(at(150n, on(2, [1, 100n])), on(1))).toEqual({
      kind: 'diverged',
      fork: { tli: 1, lsn: 100n },
    });
  });
  test('forks at the same place into different numbers are diverged there, even without own writes', () => {
    expect(compareBranch(at(100n, on(2, [1, 100n])), on(3, [1, 100n]))).toEqual({
      kind: 'diverged',
      fork: { tli: 1, lsn: 100n },
    });
  });
  test('nothing in common is diverged from the start', () => {
    expect(compareBranch(at(10n, on(7)), on(8))).toEqual({ kind: 'diverged', fork: { tli: 7, lsn: 0n } });
  });
  test('the common end is the same seen from both sides', () => {
    const [a, b] = [on(5, [1, 100n], [2, 300n]), on(6, [1, 100n], [2, 250n])];
    expect(commonEnd(a, b)).toEqual(commonEnd(b, a));
  });
});
