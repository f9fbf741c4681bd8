import type { AgentStatus, ServiceRow } from '../agent/api/types.ts';
import { command } from './common/command.ts';
import { duration, time } from './common/format.ts';
import { notInForce } from './common/in_force.ts';
import { resultColor, resultText } from './common/result.ts';
import { type Column, facts, table } from './common/table.ts';

const SERVICES: Column<ServiceRow>[] = [
  {
    title: 'service',
    value: ({ displayName, name }) => (displayName === name ? name : `${displayName} (${name})`),
  },
  {
    title: 'state',
    value: ({ state, expected }) => (state === 'running' || expected ? state : `${state}, as it should be`),
    color: ({ state, expected }) => ((state === 'running') === expected ? 'green' : 'red'),
  },
  { title: 'pid', value: ({ pid }) => (pid === null ? '-' : String(pid)), align: 'right' },
  { title: 'since', value: ({ since }) => time(since) },
];

type CheckRow = { name: string } & AgentStatus['checks'][string];

const CHECKS: Column<CheckRow>[] = [
  { title: 'check', value: ({ name }) => name },
  { title: 'result', value: (row) => resultText(row), color: (row) => resultColor(row) },
  { title: 'output', value: ({ output }) => output },
];

const COMPONENTS: Column<AgentStatus['components'][number]>[] = [
  { title: 'component', value: ({ name }) => name },
  { title: 'state', value: ({ state }) => state },
  { title: 'detail', value: ({ detail }) => detail },
];

function database({ process, role, accepting, timeline, lsn, streaming }: AgentStatus['database']): string {
  if (process !== 'running') return process;
  const answers = accepting ? 'accepting connections' : 'not accepting connections';
  return `${role}, ${answers}, timeline ${timeline}, ${lsn}${streaming ? ', streaming' : ''}`;
}

function membership({ removed, initialized, role }: AgentStatus): string {
  if (removed) return 'removed from its cluster';
  return initialized ? role : 'not in a cluster';
}

export function statusText(status: AgentStatus, verbose: boolean, colored: boolean): string {
  const checks = Object.entries(status.checks).map(([name, check]) => ({ name, ...check }));
  const parts = [
    facts([
      ['manager', status.node || '(not named yet)'],
      ['role', membership(status)],
      ['because', status.reason === '' ? '' : `${status.reason} (rule ${status.rule})`],
      ['lease', status.leaseMs > 0 ? `epoch ${status.epoch}, ${duration(status.leaseMs)} left` : ''],
      [
        'lease times',
        status.leaseNote == null ? '' : `${status.leaseNote}; change with 'agent cluster lease set'`,
      ],
      ['clients', status.fence === 'open' ? 'let in' : status.fence === 'closed' ? 'shut out' : 'unknown'],
      ['database', database(status.database)],
      ['not in force', notInForce(status.configuration).join('; ')],
      ['degraded', status.degraded ? 'yes: commits are not confirmed by any standby' : ''],
      ['agent', `${status.version} (${status.commit}), pid ${status.pid}, since ${time(status.startedAt)}`],
    ]),
  ];
  if (status.services.length > 0) parts.push(table(SERVICES, status.services, colored));
  if (checks.length > 0) parts.push(table(CHECKS, checks, colored));
  if (verbose && status.components.length > 0) parts.push(table(COMPONENTS, status.components, colored));
  return parts.join('\n');
}

export default command({
  name: 'status',
  description: "this manager's role, database, services and checks",
  examples: ['agent status', 'agent status --json'],
  args: {},
  async run({ agent, args, print, terminal }) {
    const status = await (await agent()).status();
    print(status, () => statusText(status, args.verbose === true, terminal.color));
  },
});
