import { command } from './common/command.ts';

export default command({
  name: 'uninstall',
  description: 'remove what install made; never the database',
  examples: ['agent uninstall --dry-run', 'agent uninstall', 'agent uninstall --purge'],
  args: {
    'dry-run': { type: 'boolean', description: 'print every step, but take none' },
    purge: {
      type: 'boolean',
      description: 'also agent.yaml, logs, and what was kept of clusters and divergences',
    },
  },
  async run({ args, print, say }) {
    const {
      doSteps,
      leftovers,
      presentConfig,
      realMachine,
      refuseInCluster,
      requireRoot,
      stepLine,
      stepsToDo,
      uninstallSteps,
    } = await import('../agent/install/index.ts');
    requireRoot('agent uninstall');
    const config = presentConfig(realMachine);
    refuseInCluster(config, realMachine);
    const steps = uninstallSteps(config, realMachine, args.purge === true);
    const dry = args['dry-run'] === true;
    const results = dry
      ? await stepsToDo(steps)
      : await doSteps(steps, (step) => say(`done    ${stepLine(step)}`));
    const left = dry ? [] : leftovers(config, realMachine);
    print({ dry_run: dry, steps: results, left }, () => {
      const kept = left.length === 0 ? [] : [`kept: ${left.join(', ')}; --purge removes it too`];
      if (results.length === 0) return ['nothing to uninstall', ...kept].join('\n');
      return [...(dry ? results.map(stepLine) : ['uninstalled']), ...kept].join('\n');
    });
  },
});
