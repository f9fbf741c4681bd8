/** Addresses that are nobody's, or everybody's. */
import { describe, expect, test } from 'bun:test';
import { type ConfigInput, checkConfig } from '../../agent/config/index.ts';

const told = (input: ConfigInput): string[] => {
  const result = checkConfig(input);
  return result.ok ? [] : result.problems.map(({ path, message }) => `${path}: ${message}`);
};

const GROUPS = [
  ...['224.0.0.1', '239.255.255.250', '240.0.0.1', '255.255.255.255', '::ffff:224.0.0.1'],
  ...['ff02::1', 'FF02::1', 'fe80::1', 'febf::1', 'fe80::1%eth0', '2001:db8::1%1', '::ffff:e000:1'],
];
const ALL = ['0.0.0.0', '::', '0:0:0:0:0:0:0:0', '::0.0.0.0'];

describe('host_ip and consul.bind are one manager’s address', () => {
  test.each([...GROUPS, ...ALL, '0.1.2.3', '::ffff:0.0.0.0', '::ffff:10.0.0.1', '::ffff:a00:1'])(
    'not %s',
    (address) => {
      const message = expect.stringMatching(
        /: must be (?:the address of one manager|an IP address), like 10\.0\.0\.11; it is/,
      );
      expect(told({ host_ip: address })).toEqual([message]);
      expect(told({ consul: { bind: address } })).toEqual([message]);
    },
  );

  test.each(['10.0.0.11', '192.168.255.255', '223.255.255.254', '169.254.1.1', '2001:db8::11', 'fd00::1'])(
    '%s',
    (address) => {
      expect(told({ host_ip: address, consul: { bind: address } })).toEqual([]);
    },
  );
});

describe('what is listened on is this machine’s', () => {
  test.each(GROUPS)('not %s', (address) => {
    for (const input of [
      { api: { listen: address } },
      { postgres: { listen: ['10.0.0.11', address] } },
      { consul: { http_address: address } },
      { files: { rest_address: address } },
    ])
      expect(told(input)).toEqual([
        expect.stringMatching(/must be an (?:address of this machine|IP address)/),
      ]);
  });

  test.each([...ALL, '127.0.0.1', '::1', '10.0.0.11'])('%s', (address) => {
    expect(told({ api: { listen: address }, postgres: { listen: [address] } })).toEqual([]);
  });
});
