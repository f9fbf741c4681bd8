/** When a Consul server is ready, by what it says itself. */
import type { NodeConfig } from '../../config/index.ts';
import { consulBind } from '../../config/index.ts';
import type { ConsulAdmin } from '../../consul/admin.ts';
import { AgentError } from '../../errors.ts';
import { until } from '../../platform/clock.ts';

export const hasLeader = (answer: { kind: string; value?: string | undefined }): boolean =>
  answer.kind === 'ok' && answer.value !== undefined && answer.value !== '';

/** Throws transient `code` when `what` is not so within `ms`. */
export async function wait(
  config: NodeConfig,
  ms: number,
  what: () => Promise<boolean>,
  code: string,
  message: string,
): Promise<void> {
  if (await until(what, { timeout: ms, every: 100 })) return;
  const hint = `see Consul's log, and check that ${consulBind(config)} is reachable`;
  throw new AgentError({ class: 'transient', code, message, hint });
}

export const elected = (config: NodeConfig, { catalog }: ConsulAdmin, ms: number): Promise<void> =>
  wait(
    config,
    ms,
    async () => hasLeader(await catalog.leader({ target: 'local' })),
    'consul_no_leader',
    'Consul elected no leader in time',
  );

/** What a cluster of Consul has from its first leader on; `token`: this node's own, which is made by it. */
export async function settled(
  config: NodeConfig,
  { catalog, acl }: ConsulAdmin,
  token: string | undefined,
): Promise<void> {
  const settings = { cleanupDeadServers: false, serverStabilizationMs: 0 };
  await wait(
    config,
    10_000,
    async () => (await catalog.ensureAutopilot(settings)).kind === 'ok',
    'consul_autopilot',
    'autopilot could not be set',
  );
  if (token === undefined) return;
  const { node_name, consul } = config;
  await wait(
    config,
    10_000,
    async () => (await acl.createNodeToken(node_name, consul.prefix, token)).kind === 'ok',
    'consul_token',
    "this node's Consul token could not be created",
  );
}
