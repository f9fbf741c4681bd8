import { command } from '../common/command.ts';

const worker = command({
  name: 'worker',
  description: 'the demo worker of a dev cluster',
  examples: ['agent dev worker --host 127.0.0.11 --node n1'],
  args: {
    host: { type: 'string', valueHint: 'IP', description: 'address of the database', required: true },
    node: { type: 'string', valueHint: 'NAME', description: 'name of the manager', required: true },
  },
  async run({ args }) {
    const { runWorker } = await import('./worker.ts');
    await runWorker(args.host, args.node);
  },
});

/** Run by the agent, not by people. */
export default { ...worker, meta: { ...worker.meta, hidden: true } };
