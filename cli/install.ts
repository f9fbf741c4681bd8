import type { Config } from '../agent/config/index.ts';
import { AgentError, usageError } from '../agent/errors.ts';
import { command } from './common/command.ts';

/** Throws operator `settings_refused`: what PostgreSQL does not start with is not put in its place. */
async function refuseSettings(config: Config): Promise<void> {
  const { serverSettings } = await import('../agent/doctor/settings.ts');
  const wrong = (await serverSettings(config)).find(({ state }) => state === 'fail');
  if (wrong === undefined) return;
  const { what: message, mend: hint } = wrong;
  throw new AgentError({ class: 'operator', code: 'settings_refused', message, hint });
}

export default command({
  name: 'install',
  description: 'prepare this manager: users, folders, units, sudo, rules; may be run again, also to upgrade',
  examples: ['./agent install --dry-run', './agent install', './agent install --from agent.yaml'],
  args: {
    'dry-run': { type: 'boolean', description: 'print every change, but make none' },
    from: {
      type: 'string',
      valueHint: 'FILE',
      description: 'install this configuration in place of /etc/cloudify/agent.yaml',
    },
  },
  async run({ args, print, say }) {
    const { changeLine, doneLine, install, installChanges, installPlan, realMachine, requireRoot } =
      await import('../agent/install/index.ts');
    if (args.config !== undefined) throw usageError('install has no --config', `write --from=${args.config}`);
    requireRoot('agent install');
    const options = args.from === undefined ? {} : { from: args.from };
    const dry = args['dry-run'] === true;
    await refuseSettings(installPlan(realMachine, options).config);
    const changes = dry
      ? await installChanges(realMachine, options)
      : await install(realMachine, options, (change) => say(`done    ${doneLine(change)}`));
    const shown = changes.map((change) => ({
      ...{ subject: change.subject, what: change.what },
      ...(dry ? {} : { done: doneLine(change) }),
    }));
    print({ dry_run: dry, changes: shown }, () => {
      if (changes.length === 0) return 'nothing to change';
      if (dry) return [...changes.map(changeLine), `${changes.length} changes, none made`].join('\n');
      return `${changes.length} changes made; 'agent doctor' looks at the machine, 'agent cluster start' or 'join' is next`;
    });
  },
});
