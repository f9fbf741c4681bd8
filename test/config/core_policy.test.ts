import { expect, test } from 'bun:test';
import { parseConfig, requireNode } from '../../agent/config/index.ts';
import { policyOf } from '../../agent/node/policy.ts';

const policy = (text: string) =>
  policyOf(requireNode(parseConfig(`node_name: m1\nhost_ip: 127.0.0.11\n${text}`)));

test('what the configuration says of failover and switchover reaches the core', () => {
  expect(
    policy(`
failover: { open_timeout: 21s, vote_timeout: 3s, service_restarts: 4, cooldown: 70s, delay_limit: 7s }
switchover: { timeout: 45s, maximum_lag: 2MB }
`),
  ).toMatchObject({
    holdWithoutOpen: 21_000,
    voteTimeout: 3000,
    serviceRestarts: 4,
    failedCooldown: 70_000,
    cooldown: 7000,
    switchoverWait: 45_000,
    switchoverLag: 2 * 1024 * 1024,
  });
});

test('services have as long to stop as the slowest of them may take', () => {
  const service = (name: string, stop: string, more = '') =>
    `  - { name: ${name}, unit: ${name}.service, stop_timeout: ${stop}${more} }`;
  const text = ['services:', service('broker', '40s'), service('web', '90s', ', active_only: false')].join(
    '\n',
  );
  expect(policy(text).servicesStop).toBe(40_000);
  expect(policy('').servicesStop).toBe(5000);
});
