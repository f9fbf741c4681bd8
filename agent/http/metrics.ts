/**
 * `/metrics` in the text format of Prometheus. From memory and the API's own view; nothing is counted here.
 */
import { Hono } from 'hono';
import type { AgentApi, AgentStatus, ClusterStatus, Health } from '../api/types.ts';

type Labels = Record<string, string>;
type Sample = { labels?: Labels; value: number };
type Metric = { name: string; help: string; samples: Sample[] };

const one = (name: string, help: string, value: number, labels?: Labels): Metric => ({
  name,
  help,
  samples: [labels === undefined ? { value } : { labels, value }],
});

const bit = (value: boolean): number => (value ? 1 : 0);

const escaped = (value: string) =>
  value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

function sampleLine(name: string, { labels = {}, value }: Sample): string {
  const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escaped(text)}"`);
  return `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}`;
}

/** Renders gauges; one without a sample is left out. */
export function render(metrics: Metric[]): string {
  const blocks = metrics
    .filter(({ samples }) => samples.length > 0)
    .map(({ name, help, samples }) => {
      const lines = samples.map((sample) => sampleLine(name, sample));
      return [`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, ...lines].join('\n');
    });
  return `${blocks.join('\n')}\n`;
}

const ROLES = ['active', 'standby', 'joining', 'down', 'none'] as const;

function ofAgent(status: AgentStatus, health: Health): Metric[] {
  const { services, checks, database } = status;
  return [
    one('agent_info', 'The agent, its version and commit.', 1, {
      node: status.node,
      version: status.version,
      commit: status.commit,
    }),
    one('agent_start_time_seconds', 'When the agent started.', Date.parse(status.startedAt) / 1000 || 0),
    {
      name: 'agent_role',
      help: '1 for the role that this manager has.',
      samples: ROLES.map((role) => ({ labels: { role }, value: bit(status.role === role) })),
    },
    one('agent_active', '1 if clients are served here: lease valid, unfenced, writable.', bit(health.active)),
    one('agent_rule', 'Number of the rule that decided last.', status.rule),
    one('agent_lease_seconds', "What is left of this manager's right to be active.", status.leaseMs / 1000),
    one('agent_lease_epoch', 'Epoch of the lease.', status.epoch),
    one('agent_fence_closed', '1 if clients are shut out.', bit(status.fence === 'closed')),
    one('agent_degraded', '1 while commits are not confirmed by a standby.', bit(status.degraded)),
    one('agent_database_accepting', '1 if the database answers.', bit(database.accepting)),
    one('agent_database_streaming', '1 if the standby is streaming.', bit(database.streaming)),
    one('agent_database_timeline', 'Timeline of the database.', database.timeline),
    {
      name: 'agent_service_running',
      help: '1 if the service runs.',
      samples: services.map(({ name, state, expected }) => ({
        labels: { service: name, expected: String(expected) },
        value: bit(state === 'running'),
      })),
    },
    {
      name: 'agent_check_ok',
      help: '1 if the check passes.',
      samples: Object.entries(checks).map(([check, { ok }]) => ({ labels: { check }, value: bit(ok) })),
    },
  ];
}

function ofCluster({ nodes, paused, quorum, sync }: ClusterStatus): Metric[] {
  const known = nodes.filter((node) => node.lag !== null);
  const node = (name: string): Labels => ({ node: name });
  return [
    one('agent_cluster_paused', '1 while the cluster is paused.', bit(paused)),
    {
      name: 'agent_cluster_node_online',
      help: '1 if the node is online.',
      samples: nodes.map(({ name, online }) => ({ labels: node(name), value: bit(online) })),
    },
    {
      name: 'agent_cluster_node_master',
      help: '1 for the active.',
      samples: nodes.map(({ name, master }) => ({ labels: node(name), value: bit(master) })),
    },
    {
      name: 'agent_cluster_node_lag_bytes',
      help: 'Bytes behind the active, where known.',
      samples: known.map(({ name, lag }) => ({ labels: node(name), value: lag ?? 0 })),
    },
    {
      name: 'agent_cluster_voters',
      help: 'Standbys among which every acknowledged write is found.',
      samples: sync ? [{ value: sync.voters.length }] : [],
    },
    {
      name: 'agent_cluster_consul_alive',
      help: 'Consul servers that answer.',
      samples: quorum ? [{ value: quorum.alive }] : [],
    },
    {
      name: 'agent_cluster_consul_survives',
      help: 'Further Consul servers that may be lost.',
      samples: quorum ? [{ value: quorum.survives }] : [],
    },
  ];
}

export function metricsRoutes(api: AgentApi): Hono {
  const app = new Hono();
  app.get('/', async (c) => {
    const own = ofAgent(await api.status(), api.health());
    // Consul may be away; what this agent knows of itself is then all the more wanted.
    const cluster = await api.cluster().catch(() => null);
    const shared = cluster?.initialized ? ofCluster(cluster) : [];
    return c.body(render([...own, ...shared]), 200, {
      'Content-Type': 'text/plain; version=0.0.4; charset=utf-8',
    });
  });
  return app;
}
