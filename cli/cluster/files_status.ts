import { command } from '../common/command.ts';
import { table } from '../common/table.ts';

export default command({
  name: 'status',
  description: 'the replicated files of this manager: what it lacks, and deletions awaiting confirmation',
  examples: ['agent cluster files status', 'agent cluster files status --json'],
  args: {},
  async run({ agent, print }) {
    const { facts, status } = await (await agent()).files();
    print({ facts, status }, () => {
      if (facts.state === 'off')
        return "no files are replicated: agent.yaml has no 'files.folders', or 'files.enabled' is false";
      const lacks =
        facts.state === 'behind' ? `, lacks ${facts.needItems} items, ${facts.needBytes} bytes` : '';
      const lines = [`${facts.state}, ${facts.mode}${lacks}`];
      if (status.silent !== null) lines.push(status.silent);
      if (status.connected === false) lines.push('no connection to the active');
      if (status.folders.length > 0)
        lines.push(
          table(
            [
              { title: 'folder', value: (row) => row.id },
              { title: 'state', value: (row) => row.state },
              { title: 'lacks', value: (row) => String(row.needItems) },
              { title: 'bytes', value: (row) => String(row.needBytes) },
              { title: 'errors', value: (row) => row.error ?? String(row.errors) },
            ],
            status.folders,
          ),
        );
      for (const { folder, deletions, of } of status.held)
        lines.push(
          `${folder}: ${deletions} of ${of} items were deleted on the active at once and are held here;` +
            " 'agent cluster files accept' deletes them here, too",
        );
      return [...lines, ...status.notes].join('\n');
    });
  },
});
