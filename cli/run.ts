import { command } from './common/command.ts';
import { configPath } from './common/socket.ts';

export default command({
  name: 'run',
  description: 'run the agent of this manager (under systemd, or in a terminal)',
  examples: ['agent run --config /etc/cloudify/agent.yaml'],
  args: {},
  async run({ args, terminal }) {
    const { runAgent } = await import('../agent/main.ts');
    return (await runAgent(configPath(args, terminal.env))) as never;
  },
});
