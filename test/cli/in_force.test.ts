import { afterAll, beforeAll, beforeEach, expect, test } from 'bun:test';
import { agentStatus, clusterStatus } from '../fakes/agent_api.ts';
import { type Bench, bench, testTerminal } from './harness.ts';

const WHAT = 'the agent runs with another configuration than /etc/cloudify/agent.yaml: services';
const NEXT = "run 'agent install' as root";
const report = (problems: { what: string; next: string }[]) => ({
  file: '/etc/cloudify/agent.yaml',
  hash: 'aaaaaaaaaaaa',
  fileHash: 'bbbbbbbbbbbb',
  problems,
});
const configuration = report([{ what: WHAT, next: NEXT }]);

let b: Bench;
beforeAll(async () => {
  b = await bench();
});
afterAll(() => b.close());
beforeEach(() => {
  b.agent.statusNow = agentStatus({ configuration });
  b.agent.clusters = [clusterStatus({ configuration })];
});

test('status and cluster status say what is not in force, what differs, and the next step', async () => {
  for (const command of ['status', 'cluster status'])
    expect((await b.cli(command)).out).toContain(`not in force  ${WHAT}; ${NEXT}\n`);
});

test('doctor fails by it', async () => {
  const { out, code } = await b.cli('doctor');
  expect(code).toBe(1);
  expect(out).toContain(`FAIL  in_force: ${WHAT}\n      ${NEXT}\n`);
});

test('start and join say what else is of another file', async () => {
  for (const command of ['cluster start', 'cluster join 127.0.0.11']) {
    const terminal = testTerminal();
    await b.cli(command, terminal);
    expect(terminal.errText()).toContain(`not in force: ${WHAT}; ${NEXT}\n`);
  }
});

test('where all is in force nothing is said of it, nor by an older agent', async () => {
  for (const none of [report([]), undefined]) {
    b.agent.statusNow = agentStatus(none === undefined ? {} : { configuration: none });
    b.agent.clusters = [clusterStatus(none === undefined ? {} : { configuration: none })];
    for (const command of ['status', 'cluster status', 'cluster start']) {
      const terminal = testTerminal();
      const { out } = await b.cli(command, terminal);
      expect(`${out}${terminal.errText()}`).not.toContain('in force');
    }
  }
});
