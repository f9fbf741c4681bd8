/**
 * Start and join, interrupted in each of their steps. A start goes on with the same command; a join that was
 * not entered is undone by the next agent and leaves the machine as it was found; one that may have been
 * entered goes on by itself.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { AgentStatus, ClusterStatus } from '../../agent/api/types.ts';
import { AGENT, buildAgent, installAgent } from './binary.ts';
import { Cluster } from './cluster.ts';
import { until } from './host.ts';
import { createLab, type Lab } from './lab.ts';
import type { Machine } from './machine.ts';
import { agentYaml, DATA_DIR, makeManagers } from './manager/manager.ts';
import { missing } from './probe.ts';

const reasons = await missing();
const KILL = 'systemctl kill -s KILL cloudify-agent';
const LOG = '/tmp/operation.log';

describe.skipIf(reasons.length > 0)('interrupted', () => {
  let lab: Lab;
  let cluster: Cluster;

  beforeAll(async () => {
    lab = await createLab({ name: 't-join', nodes: 2 });
    await makeManagers(lab);
    const binary = await buildAgent(lab);
    for (const vm of lab.machines) await installAgent(vm, binary, agentYaml());
    cluster = new Cluster(lab, [], () => {});
  }, 300_000);

  afterAll(() => lab?.down());

  const status = async (vm: Machine): Promise<AgentStatus | undefined> => {
    const { code, stdout } = await vm.exec([AGENT, 'status', '--json']);
    return code === 0 ? (JSON.parse(stdout) as AgentStatus) : undefined;
  };
  /** Runs it in the VM and waits until its output names the step as done. */
  async function begun(vm: Machine, args: readonly string[], step: string): Promise<void> {
    await vm.must(
      `rm -f ${LOG}; setsid sh -c "${AGENT} ${args.join(' ')} >${LOG} 2>&1" </dev/null >/dev/null 2>&1 &`,
    );
    await until(`'${step}' is done`, 60_000, async () => {
      const { stdout } = await vm.exec(`cat ${LOG}`);
      if (/^failed/m.test(stdout)) throw new Error(stdout);
      return new RegExp(`^done +${step}`, 'm').test(stdout);
    });
  }
  const startArgs = (vm: Machine) => [
    'cluster',
    'start',
    '--cluster-host-ip',
    vm.ip,
    '--cluster-node-name',
    vm.id,
  ];
  const joinArgs = async (vm: Machine) => {
    const token = await cluster.token('n1');
    const who = ['--cluster-host-ip', vm.ip, '--cluster-node-name', vm.id, '--token', token ?? ''];
    return ['cluster', 'join', ...who, lab.node('n1').ip];
  };
  /** As a join must leave it. */
  async function asFound(vm: Machine): Promise<void> {
    await until('the join is undone', 60_000, async () => {
      const { code } = await vm.exec('test -e /var/lib/cloudify/agent/joining.json');
      const seen = await status(vm);
      return code !== 0 && seen !== undefined && !seen.initialized;
    });
    const script = `ls -A ${DATA_DIR} /var/lib/cloudify/consul 2>/dev/null | grep -v ':$' | grep . ; ls /var/lib/cloudify/agent/membership.json 2>/dev/null; iptables -S | grep -E "^-A (INPUT|OUTPUT) .*CLOUDIFY"; systemctl is-active cloudify-consul cloudify-postgresql | grep -x active`;
    expect((await vm.exec(script)).stdout.trim()).toBe('');
    expect((await vm.must('systemctl is-enabled mgmtworker.service')).trim()).toBe('enabled');
  }
  const servers = async (): Promise<number | undefined> =>
    (JSON.parse(await cluster.agent('n1', ['cluster', 'status', '--json'])) as ClusterStatus).quorum?.servers;

  test.each(['making certificates', 'starting Consul', 'taking over the database', 'founding the cluster'])(
    'a start whose agent dies after "%s" goes on with the same command',
    async (step) => {
      const vm = lab.node('n1');
      if ((await status(vm))?.initialized) return;
      await begun(vm, startArgs(vm), step);
      await vm.must(KILL);
      await until('the agent is back', 20_000, async () => (await status(vm)) !== undefined);
    },
    90_000,
  );

  test('and then it is the active, with its data', async () => {
    const vm = lab.node('n1');
    if (!(await status(vm))?.initialized) await cluster.start('n1');
    await until('it is open', 30_000, async () => (await status(vm))?.fence === 'open');
    expect(
      (
        await vm.must(['psql', '-XtAc', 'select count(*) >= 0 from ledger', '-d', 'ledger'], {
          user: 'postgres',
        })
      ).trim(),
    ).toBe('t');
  }, 120_000);

  test.each(['asking to be admitted', 'taking over the machine', 'copying the database'])(
    'a join whose agent dies after "%s" leaves the machine as it was found, and the cluster without it',
    async (step) => {
      const vm = lab.node('n2');
      await begun(vm, await joinArgs(vm), step);
      await vm.must(KILL);
      await asFound(vm);
      await until('Consul counts one server', 30_000, async () => (await servers()) === 1);
    },
    120_000,
  );

  test('a join that loses its network before it has copied is undone, and says why', async () => {
    const vm = lab.node('n2');
    const args = await joinArgs(vm);
    await begun(vm, args, 'asking to be admitted');
    await lab.cutOff('n2');
    await until('it gives up', 90_000, async () => /^failed/m.test((await vm.exec(`cat ${LOG}`)).stdout));
    await lab.heal();
    await asFound(vm);
  }, 150_000);

  test('after all that it joins, and an agent that dies just then goes on as a member', async () => {
    const vm = lab.node('n2');
    await begun(vm, await joinArgs(vm), 'entering the cluster');
    await vm.must(KILL);
    await until('it follows', 60_000, async () => (await status(vm))?.database.streaming === true);
    expect(await servers()).toBe(2);
  }, 120_000);
});

if (reasons.length > 0) console.log(`!!! the lab cannot run here: ${reasons.join('; ')}`);
