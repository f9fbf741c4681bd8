import { expect, test } from 'bun:test';
import { goDurationMs } from '../../agent/consul/autopilot.ts';
import { renderBootstrapConfig, renderServerConfig } from '../../agent/consul/server_config.ts';

const node = {
  nodeName: 'manager-1',
  bindAddr: '192.0.2.1',
  clientAddr: '127.0.0.1',
  dataDir: '/data',
  retryJoin: ['192.0.2.1', '192.0.2.2'],
};
const config = JSON.parse(renderServerConfig(node).content);

test('nothing makes a node that is down leave: no leave, no reaping, no clean-up', () => {
  expect(config.leave_on_terminate).toBe(false);
  expect(config.skip_leave_on_interrupt).toBe(true);
  expect(goDurationMs(config.reconnect_timeout)).toBeGreaterThan(5 * 365 * 24 * 3_600_000);
  expect(config.autopilot.cleanup_dead_servers).toBe(false);
});

test('bootstrap_expect stands in a file of its own', () => {
  expect(config.bootstrap_expect).toBeUndefined();
  expect(JSON.parse(renderBootstrapConfig().content)).toEqual({ bootstrap_expect: 1 });
  expect(renderBootstrapConfig().name).not.toBe(renderServerConfig(node).name);
});

test('it binds to its own address, serves HTTP where told, and joins the others', () => {
  expect(config).toMatchObject({ bind_addr: '192.0.2.1', client_addr: '127.0.0.1', node_name: 'manager-1' });
  expect(config.retry_join).toEqual(['192.0.2.2']);
  expect(config.performance.raft_multiplier).toBe(1);
});

test('durations are read as Go writes them, and nothing else is', () => {
  expect(['10s', '0s', '200ms', '1m0s', '1h1m1.5s'].map(goDurationMs)).toEqual([
    10_000, 0, 200, 60_000, 3_661_500,
  ]);
  expect(['', '10', 's', '10 s', '-1s', 'x1s'].every((text) => Number.isNaN(goDurationMs(text)))).toBe(true);
});
