import { command, durationOption } from '../common/command.ts';
import { duration } from '../common/format.ts';

export default command({
  name: 'pause',
  description: 'no automatic role change until resumed; the active stays as long as its lease can be renewed',
  examples: ['agent cluster pause --for 30min'],
  args: { for: { type: 'string', valueHint: 'DURATION', description: 'resume by itself after this time' } },
  async run({ agent, args, print }) {
    const ms = args.for === undefined ? null : await durationOption('for', args.for);
    await (await agent()).pause(ms);
    print({ paused: true, forMs: ms }, () =>
      ms === null ? "paused, until 'agent cluster resume'" : `paused for ${duration(ms)}`,
    );
  },
});
