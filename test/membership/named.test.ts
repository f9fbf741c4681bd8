import { expect, test } from 'bun:test';
import { type ConfigInput, makeConfig } from '../../agent/config/index.ts';
import { namedConfig, refuseOptions } from '../../agent/membership/named.ts';

const input: ConfigInput = { driver: 'systemd', node_name: 'm1', host_ip: '10.0.0.11' };
const named = (options: Record<string, unknown>) => {
  refuseOptions(input, makeConfig(input), { options });
  return namedConfig(input, makeConfig(input), { options });
};

test('what only root and the database user read is refused as an option, with where it belongs', () => {
  for (const options of [
    { 'postgres.data_dir': '/elsewhere' },
    { postgres: { port: 5433 } },
    { firewall: { enabled: false } },
    { services: [] },
    { 'paths.run_dir': '/tmp' },
  ])
    expect(() => named(options)).toThrow(/cannot be set by --options on a machine with units/);
});

test("the agent's own settings of the database are taken", () => {
  expect(named({ primary_start_timeout: '9s' }).postgres.primary_start_timeout).toBe(9000);
});

test('a lease that root would not hold is refused, a shorter one is taken', () => {
  expect(() => named({ check_ttl_multiplier: 3 })).toThrow(/longer than the 4000 ms/);
  expect(named({ 'lease.preset': 'fast' }).lease.preset).toBe('fast');
});

test.each(['127.0.0.1', '127.9.8.7', '::1', '0:0:0:0:0:0:0:1', '::0001'])(
  'a manager of its own is not known to the others by %s',
  (host_ip) => {
    expect(() => named({ host_ip })).toThrow(/host_ip: must be an address that the other managers can reach/);
    const child: ConfigInput = { ...input, driver: 'child' };
    expect(namedConfig(child, makeConfig(child), { hostIp: host_ip }).host_ip).toBe(host_ip);
  },
);

test('where services are children, everything may be an option', () => {
  const child: ConfigInput = { ...input, driver: 'child' };
  const options = { 'postgres.port': 5433 };
  refuseOptions(child, makeConfig(child), { options });
  expect(namedConfig(child, makeConfig(child), { options }).postgres.port).toBe(5433);
});
