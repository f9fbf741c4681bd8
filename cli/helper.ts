import { defineCommand } from 'citty';
import { command } from './common/command.ts';
import { configPath } from './common/socket.ts';

const lease = command({
  name: 'lease',
  description: 'hold the kernel lease (run by systemd, as root)',
  examples: ['agent helper lease --config /etc/cloudify/agent.yaml'],
  args: {},
  async run({ args, terminal }) {
    const { runLeaseHelper } = await import('../agent/lease_helper/main.ts');
    return (await runLeaseHelper(configPath(args, terminal.env))) as never;
  },
});

const postgres = command({
  name: 'postgres',
  description: 'run PostgreSQL for the agent (run by systemd, as its user)',
  examples: ['agent helper postgres --config /etc/cloudify/agent.yaml'],
  args: {},
  async run({ args, terminal }) {
    const { runPostgresHelper } = await import('../agent/roles/postgres_helper/index.ts');
    return (await runPostgresHelper(configPath(args, terminal.env))) as never;
  },
});

/** The processes beside the agent. Run by systemd, not by people. */
export default defineCommand({
  meta: { name: 'helper', description: 'the processes beside the agent, run by systemd', hidden: true },
  subCommands: { lease, postgres },
});
