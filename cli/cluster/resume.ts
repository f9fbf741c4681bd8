import { command } from '../common/command.ts';

export default command({
  name: 'resume',
  description: 'end a pause: role changes are automatic again',
  examples: ['agent cluster resume'],
  args: {},
  async run({ agent, print }) {
    await (await agent()).resume();
    print({ paused: false }, () => 'resumed');
  },
});
