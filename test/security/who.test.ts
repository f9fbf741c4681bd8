import { describe, expect, test } from 'bun:test';
import type { NodeRecord, View } from '../../agent/core/records.ts';
import { holdsLease, isEnrolled } from '../../agent/security/who.ts';

const record = (proof?: string): NodeRecord => ({
  schema: 1,
  hostIp: '10.0.0.1',
  publicIp: null,
  apiPort: 8700,
  postgresPort: 5432,
  version: '0.1.0',
  options: { priority: 100, nofailover: false, maintenance: false },
  ...(proof === undefined ? {} : { proof }),
});

const view = {
  lease: { value: { holder: 'm1' }, index: 7 },
  nodes: { m1: record('hash-1'), m2: record('hash-2'), plain: record(), gone: record('hash-5') },
  joining: { m3: { schema: 1, at: '2026-11-27T10:00:00.000Z', node: record('hash-3') } },
  removed: ['gone'],
} as unknown as View;

describe('who calls', () => {
  test('an enrolled member, by the hash that its record has', () => {
    expect(isEnrolled(view, 'm1', 'hash-1')).toBe(true);
    expect(isEnrolled(view, 'm1', 'hash-2')).toBe(false);
    expect(isEnrolled(view, 'm9', 'hash-1')).toBe(false);
  });

  test('a reservation is no member, though it shows what it was admitted with', () => {
    expect(isEnrolled(view, 'm3', 'hash-3')).toBe(false);
  });

  test('one with a tombstone, without a proof, or before anything is known is none', () => {
    expect(isEnrolled(view, 'gone', 'hash-5')).toBe(false);
    expect(isEnrolled(view, 'plain', '')).toBe(false);
    expect(isEnrolled(null, 'm1', 'hash-1')).toBe(false);
  });

  test('the holder of the lease, and nobody when it is not known', () => {
    expect(holdsLease(view, 'm1')).toBe(true);
    expect(holdsLease(view, 'm2')).toBe(false);
    expect(holdsLease(null, 'm1')).toBe(false);
  });
});
