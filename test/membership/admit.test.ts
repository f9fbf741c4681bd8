import { expect, test } from 'bun:test';
import type { AdmitRequest } from '../../agent/api/types.ts';
import { defaultPolicy } from '../../agent/core/policy.ts';
import type { View } from '../../agent/core/records.ts';
import { refuseRequest } from '../../agent/membership/admit.ts';
import { version } from '../../agent/version.ts';
import { nodeRecord } from '../core/build.ts';

const NOW = Date.parse('2026-11-27T10:00:00.000Z');
const request = (nodeName: string, hostIp = '10.0.0.9'): AdmitRequest => ({
  nodeName,
  hostIp,
  publicIp: null,
  apiPort: 8700,
  postgresPort: 5432,
  version,
  priority: 100,
  nofailover: false,
  lease: { retryPeriod: 1000, renewDeadline: 3000, leaseDuration: 5000 },
});

const record = nodeRecord('m2');
const view = {
  nodes: { m2: record },
  joining: { m3: { schema: 1, at: new Date(NOW).toISOString(), node: { ...record, hostIp: '10.0.0.3' } } },
} as unknown as View;
const code = (asked: AdmitRequest): string => {
  try {
    refuseRequest(asked, view, defaultPolicy, NOW);
    return 'admitted';
  } catch (thrown) {
    return (thrown as { code: string }).code;
  }
};

test('a name that another has, or is joining with, is refused; also one that differs by its case alone', () => {
  for (const name of ['m2', 'M2', 'm3', 'M3'])
    expect([name, code(request(name))]).toEqual([name, 'name_taken']);
  expect(code(request('m4'))).toBe('admitted');
  expect(code(request('m3', '10.0.0.3'))).toBe('admitted');
});
test('an address that another has, or is joining with, is refused', () => {
  expect(code(request('m4', record.hostIp))).toBe('address_taken');
  expect(code(request('m4', '10.0.0.3'))).toBe('address_taken');
});
