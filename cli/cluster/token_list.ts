import { command } from '../common/command.ts';
import { table } from '../common/table.ts';

export default command({
  name: 'list',
  description: 'the join tokens, without their secrets',
  examples: ['agent cluster token list', 'agent cluster token list --json'],
  args: {},
  async run({ agent, print }) {
    const rows = await (await agent()).tokens();
    print(rows, () =>
      rows.length === 0
        ? 'no join tokens'
        : table(
            [
              { title: 'id', value: (row) => row.id },
              { title: 'state', value: (row) => row.state },
              { title: 'expires', value: (row) => row.expires },
              { title: 'made by', value: (row) => row.by },
              { title: 'used by', value: (row) => row.usedBy ?? '' },
            ],
            rows,
          ),
    );
  },
});
