import type { NodeRow } from '../../agent/api/types.ts';
import { command } from '../common/command.ts';
import { facts } from '../common/table.ts';
import { checkText, lagText } from './nodes_table.ts';
import { lastWord } from './outage.ts';

export function nodeText(node: NodeRow): string {
  const { options, silent } = node;
  return facts([
    ['name', node.name],
    ['host_ip', node.host_ip],
    ['public_ip', node.public_ip ?? ''],
    ['state', node.state],
    ['last word', lastWord(node)],
    [silent ? 'it said' : 'because', node.reason],
    ['voter', node.voter ? 'yes' : 'no'],
    ['timeline', String(node.timeline)],
    ['lag', lagText(node)],
    ['consul', checkText(node, 'consul')],
    ['cloudify services', checkText(node, 'services')],
    ['database', checkText(node, 'database')],
    ['heartbeat', checkText(node, 'heartbeat')],
    ['filesync', checkText(node, 'filesync')],
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
