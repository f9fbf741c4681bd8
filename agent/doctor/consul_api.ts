import { consulShowsCertificate, hostPort } from '../config/effective.ts';
import type { NodeConfig } from '../config/resolve.ts';
import { type Finding, warn } from './finding.ts';
import type { Use } from './ports.ts';

/**
 * Is a token shown, or might one be, to a Consul that proves nothing? `portUse` looks who listens. Nothing
 * found: nothing wrong.
 */
export async function consulApi(
  config: NodeConfig,
  portUse: (host: string, port: number) => Promise<Use>,
): Promise<Finding[]> {
  const { consul } = config;
  const plain = hostPort(consul.http_address, consul.http_port);
  if (consul.mode === 'external') {
    if (!consul.tls && consul.token === undefined) return [];
    return [
      warn(
        'consul_token_plain',
        `the token for Consul goes over plain HTTP to ${plain}: whoever listens there while Consul is down gets it`,
        "let the agent run Consul (leave 'consul.mode' out): then it is asked over TLS",
      ),
    ];
  }
  if (!consulShowsCertificate(config) || (await portUse(consul.http_address, consul.http_port)) !== 'taken')
    return [];
  return [
    warn(
      'consul_plain_port',
      `something listens on ${plain}, where Consul does not listen any more: a Consul that was started before the upgrade, or another program`,
      "the agent asks over TLS alone; for Consul: 'systemctl restart cloudify-consul', one manager after the other",
    ),
  ];
}
