import { expect, test } from 'bun:test';
import { makeConfig, requireNode } from '../../agent/config/index.ts';
import { consulAccess, managementAccess } from '../../agent/node/access.ts';
import type { LiveSecurity } from '../../agent/security/live.ts';

const secrets = { consulToken: 'own', managementToken: 'all' };
const security = { current: () => ({ secrets }) } as unknown as LiveSecurity;

test('a Consul without TLS between its servers has no tokens, and is shown none', () => {
  const tokens = (tls: boolean) => {
    const config = requireNode(
      makeConfig({ node_name: 'm1', host_ip: '10.0.0.11', api: { tls: true }, consul: { tls } }),
    );
    return [consulAccess, managementAccess].map((access) => access({ config, security }).token());
  };
  expect(tokens(true)).toEqual(['own', 'all']);
  expect(tokens(false)).toEqual([undefined, undefined]);
});
