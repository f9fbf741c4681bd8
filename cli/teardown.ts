import { EXIT } from '../agent/errors.ts';
import { command } from './common/command.ts';

/** `2026-11-22T18-30-00Z`: sorts by time, and is a file name everywhere. */
const stampOf = (date: Date): string => date.toISOString().replace(/\.\d+/, '').replaceAll(':', '-');

export default command({
  name: 'teardown',
  description: 'make this manager a stand-alone one again: its data, its own units and settings, no cluster',
  examples: ['agent teardown --dry-run', 'agent teardown -f'],
  args: {
    force: { type: 'boolean', alias: 'f', description: 'do it; without, it only tells' },
    'dry-run': { type: 'boolean', description: 'print every step, but take none' },
    'skip-database': { type: 'boolean', description: 'leave the data directory as it is' },
  },
  async run({ args, print, say }) {
    const {
      doSteps,
      membership,
      presentConfig,
      realMachine,
      requireRoot,
      stepLine,
      stepsToDo,
      teardownSteps,
    } = await import('../agent/install/index.ts');
    requireRoot('agent teardown');
    const config = presentConfig(realMachine);
    const name = membership(config, realMachine);
    const steps = teardownSteps(config, realMachine, {
      skipDatabase: args['skip-database'] === true,
      stamp: stampOf(new Date()),
    });
    const dry = args['dry-run'] === true || args.force !== true;
    const refused = dry && args['dry-run'] !== true;
    const results = dry
      ? await stepsToDo(steps)
      : await doSteps(steps, (step) => say(`done    ${stepLine(step)}`));
    const member =
      name === undefined || results.length === 0
        ? []
        : [
            `this manager ${dry ? 'is' : 'was'} '${name}' of its cluster: run 'agent cluster nodes remove ${name}' on another member; until then the cluster still counts it`,
          ];
    print({ dry_run: dry, member: name ?? null, steps: results }, () => {
      if (results.length === 0) return 'nothing to tear down';
      const lines = dry ? results.map(stepLine) : ['this manager is a stand-alone one'];
      return [
        ...lines,
        ...member,
        ...(refused ? ["nothing was done: 'agent teardown -f' does it"] : []),
      ].join('\n');
    });
    return refused && results.length > 0 ? EXIT.failed : EXIT.done;
  },
});
