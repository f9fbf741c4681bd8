import type { NodeRow } from '../../agent/http/port.ts';
import { command } from '../command.ts';
import { facts } from '../table.ts';
import { lagText } from './nodes_table.ts';

const ok = (passes: boolean): string => (passes ? 'OK' : 'FAIL');

export function nodeText(node: NodeRow): string {
  const { checks, options } = node;
  return facts([
    ['name', node.name],
    ['host_ip', node.host_ip],
    ['public_ip', node.public_ip ?? ''],
    ['state', node.state],
    ['because', node.reason],
    ['voter', node.voter ? 'yes' : 'no'],
    ['timeline', String(node.timeline)],
    ['lag', lagText(node)],
    ['consul', ok(checks.consul)],
    ['cloudify services', ok(checks.services)],
    ['database', ok(checks.database)],
    ['heartbeat', ok(checks.heartbeat)],
    ['filesync', ok(checks.filesync)],
    ['priority', options === undefined ? '' : String(options.priority)],
    ['nofailover', options?.nofailover ? 'yes' : ''],
    ['maintenance', options?.maintenance ? 'yes' : ''],
    ['agent', node.version],
    ['differs', (node.differs ?? []).join('; ')],
  ]);
}

export default command({
  name: 'get',
  description: 'everything about one manager of the cluster',
  examples: ['agent cluster nodes get m2'],
  args: { name: { type: 'positional', required: true, description: 'the name of the node' } },
  async run({ agent, args, print }) {
    const node = await (await agent()).node(args.name);
    print(node, () => nodeText(node));
  },
});
