import { describe, expect, test } from 'bun:test';
import { render } from '../../agent/http/metrics.ts';
import { clusterStatus } from '../fakes/agent_api.ts';
import { testApp } from './app.ts';

describe('/metrics', () => {
  test('each metric has help, type and samples in the text format', () => {
    expect(
      render([
        { name: 'a', help: 'An a.', samples: [{ value: 1.5 }] },
        { name: 'b', help: 'A b.', samples: [{ labels: { x: 'say "\\"\n' }, value: 0 }] },
        { name: 'c', help: 'Left out.', samples: [] },
      ]),
    ).toBe(
      '# HELP a An a.\n# TYPE a gauge\na 1.5\n# HELP b A b.\n# TYPE b gauge\nb{x="say \\"\\\\\\"\\n"} 0\n',
    );
  });

  test('what the agent and the cluster say is there, unknown lag left out', async () => {
    const { get } = testApp();
    const response = await get('/metrics');
    const text = await response.text();
    expect(response.headers.get('content-type')).toStartWith('text/plain; version=0.0.4');
    for (const line of [
      'agent_info{node="m1",version="0.1.0",commit="0123456789ab"} 1',
      'agent_role{role="active"} 1',
      'agent_role{role="standby"} 0',
      'agent_rule 900',
      'agent_lease_seconds 3.456',
      'agent_lease_epoch 3',
      'agent_check_ok{check="services"} 0',
      'agent_service_running{service="nginx",expected="true"} 0',
      'agent_cluster_node_lag_bytes{node="m2"} 16777216',
      'agent_cluster_voters 2',
    ]) {
      expect(text).toContain(`${line}\n`);
    }
    expect(text).not.toContain('agent_cluster_node_lag_bytes{node="m3"}');
  });

  test('an agent that cannot see the cluster still tells of itself', async () => {
    const { agent, get } = testApp();
    agent.cluster = () => Promise.reject(new Error('no Consul'));
    const text = await (await get('/metrics')).text();
    expect(text).toContain('agent_active 1\n');
    expect(text).not.toContain('agent_cluster');
    agent.cluster = async () => clusterStatus({ initialized: false });
    expect(await (await get('/metrics')).text()).not.toContain('agent_cluster');
  });
});
