import { expect, test } from 'bun:test';
import { goDurationMs } from '../../agent/consul/autopilot.ts';
import { renderBootstrapConfig, renderServerConfig } from '../../agent/roles/consul/config.ts';

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

test('its web page and DNS are off unless asked for', () => {
  expect([config.ui, config.ports.dns]).toEqual([false, -1]);
  const asked = JSON.parse(renderServerConfig({ ...node, ui: true, ports: { dns: 8600 } }).content);
  expect([asked.ui, asked.ports.dns]).toEqual([true, 8600]);
});

test('durations are read as Go writes them, and nothing else is', () => {
  expect(['10s', '0s', '200ms', '1m0s', '1h1m1.5s'].map(goDurationMs)).toEqual([
    10_000, 0, 200, 60_000, 3_661_500,
  ]);
  expect(['', '10', 's', '10 s', '-1s', 'x1s'].every((text) => Number.isNaN(goDurationMs(text)))).toBe(true);
});

test('without security nothing of TLS, tokens or encryption is in the file', () => {
  for (const key of ['acl', 'encrypt', 'verify_incoming', 'ca_file']) expect(config[key]).toBeUndefined();
  expect(config.ports.https).toBeUndefined();
});

test('with it everything is verified both ways, denied by default, and HTTPS on the own address is the only door', () => {
  const secured = JSON.parse(
    renderServerConfig({
      ...node,
      security: {
        tls: { ca: '/s/ca.pem', cert: '/s/cert.pem', key: '/s/key.pem' },
        gossipKey: 'Zw==',
        tokens: { management: 'm', node: 'n' },
      },
    }).content,
  );
  expect(secured).toMatchObject({
    verify_incoming: true,
    verify_outgoing: true,
    verify_server_hostname: true,
    tls_min_version: 'tls12',
    encrypt: 'Zw==',
    // A keyring file in the data folder would win over a key that was changed meanwhile.
    disable_keyring_file: true,
    addresses: { https: '192.0.2.1' },
    acl: { enabled: true, default_policy: 'deny', tokens: { master: 'm', agent: 'n' } },
  });
  expect(secured.acl.tokens.default).toBeUndefined();
  expect([secured.ports.https, secured.ports.http, secured.client_addr]).toEqual([8501, -1, '127.0.0.1']);
});
