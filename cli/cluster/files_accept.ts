import { command } from '../common/command.ts';

export default command({
  name: 'accept',
  description: 'carry out the deletions that are held on this manager; see files status',
  examples: ['agent cluster files accept'],
  args: {},
  async run({ agent, print }) {
    const { deletions } = await (await agent()).acceptDeletions();
    print({ deletions }, () =>
      deletions === 0 ? 'nothing was held' : `${deletions} items are being deleted here, too`,
    );
  },
});
