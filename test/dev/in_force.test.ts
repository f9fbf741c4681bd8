import { afterEach, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { startAgent, stopAgent } from '../../cli/dev/agents.ts';
import { agentOn, type DevCluster, openCluster, prepare } from '../../cli/dev/cluster.ts';
import { down } from '../../cli/dev/down.ts';
import { nodeProcesses } from '../../cli/dev/processes.ts';
import { freeAddress } from './addresses.ts';

/**
 * The agent is started, agent.yaml is edited, and a cluster is started: with what the agent had read before.
 */
let cluster: DevCluster | undefined;
afterEach(async () => {
  if (cluster !== undefined) await down(cluster, { purge: true }, () => {});
}, 60_000);

test('a start with a file that the agent did not read is refused and changes nothing; after a restart it goes by the file', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'agent-test-'));
  await prepare({ dir, nodes: 1, first: await freeAddress(21, 1), runtime: 'bun' });
  cluster = openCluster(dir);
  const [node] = cluster.nodes;
  if (node === undefined) throw new Error('no node');
  const { program } = cluster.settings;
  const agent = async (...args: string[]) => await agentOn(cluster as DevCluster, node, args);
  const problems = async (...args: string[]) => {
    const said = await agent(...args, '--json');
    return (JSON.parse(said.stdout) as { configuration: { problems: { what: string }[] } }).configuration
      .problems;
  };
  await startAgent(node, program, cluster.user);
  expect(await problems('status')).toEqual([]);

  const written = parse(readFileSync(node.config, 'utf8')) as { services: object[] };
  writeFileSync(node.config, stringify({ ...written, services: [], tags: { priority: 7 } }));
  const different = `the agent runs with another configuration than ${node.config}: services, tags.priority`;
  expect((await problems('status')).map(({ what }) => what)).toEqual([different]);
  expect((await agent('status')).stdout).toContain(`${different}; restart the agent: that changes no role`);
  for (const command of [['start'], ['join', '127.0.0.1']]) {
    const refused = await agent('cluster', ...command);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(`${different}. Nothing was changed`);
    expect(refused.stderr).toContain('restart the agent');
  }
  expect(existsSync(join(node.stateDir, 'membership.json'))).toBe(false);
  expect(existsSync(join(node.consulDir, 'data'))).toBe(false);
  expect(nodeProcesses(node).filter(({ command }) => command === 'consul')).toEqual([]);

  await stopAgent(node);
  await startAgent(node, program, cluster.user);
  const started = await agent('cluster', 'start');
  expect([started.code, started.code === 0 ? '' : started.stderr]).toEqual([0, '']);
  const status = JSON.parse((await agent('status', '--json')).stdout) as { services: object[] };
  expect(status.services).toEqual([]);

  // In the cluster it is said as well, and the agent goes on with what it has.
  writeFileSync(node.config, stringify(written));
  expect(await problems('cluster', 'status')).toHaveLength(1);
  expect((await agent('cluster', 'status')).stdout).toContain('not in force');
  await stopAgent(node);
  await startAgent(node, program, cluster.user);
  expect(await problems('cluster', 'status')).toEqual([]);
}, 300_000);
