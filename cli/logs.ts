import type { LogLine } from '../agent/api/types.ts';
import { usageError } from '../agent/errors.ts';
import { command } from './common/command.ts';

/** As in the log file: time, level, component, message. */
export function logText({ timestamp, level, component, message }: LogLine): string {
  const at = new Date(Math.floor(timestamp / 1000)).toISOString();
  return `${at} ${level.toUpperCase().padEnd(5)} [${component}] ${message}`;
}

export default command({
  name: 'logs',
  description: "the agent's log, newest last",
  examples: ['agent logs -f --component lease', 'agent logs --lines 100'],
  args: {
    component: { type: 'string', valueHint: 'NAME', description: 'only lines of this component' },
    lines: {
      type: 'string',
      alias: 'n',
      valueHint: 'N',
      default: '100',
      description: 'how many past lines to show first',
    },
    follow: { type: 'boolean', alias: 'f', description: 'keep showing new lines as they come' },
  },
  async run({ agent, args, terminal }) {
    const limit = Number(args.lines);
    if (!Number.isSafeInteger(limit) || limit < 1) {
      throw usageError(`--lines=${args.lines} is not a number of lines`, 'write a whole number from 1');
    }
    const client = await agent();
    const options = { component: args.component, limit };
    const show = (line: LogLine) => terminal.out(`${args.json ? JSON.stringify(line) : logText(line)}\n`);
    if (args.follow !== true) {
      for (const line of await client.logs(options)) show(line);
      return;
    }
    const [{ events }, { logPath }] = await Promise.all([
      import('../agent/http/client_events.ts'),
      import('../agent/http/client_api.ts'),
    ]);
    for await (const { event, data } of events(client.http, logPath(options, true), terminal.interrupted())) {
      if (event === 'log') show(JSON.parse(data) as LogLine);
    }
  },
});
