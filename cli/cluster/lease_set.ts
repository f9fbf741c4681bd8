import type { LeaseChange } from '../../agent/api/lease.ts';
import { usageError } from '../../agent/errors.ts';
import { command, durationOption } from '../common/command.ts';
import { timesText } from '../common/format.ts';

const TIMES = {
  'retry-period': 'retryPeriod',
  'renew-deadline': 'renewDeadline',
  'lease-duration': 'leaseDuration',
  'fencing-time': 'fencingTime',
} as const;

const one = (description: string) => ({ type: 'string', valueHint: 'TIME', description }) as const;

export default command({
  name: 'set',
  description: "change the lease's times on every node, while the cluster serves; on the active",
  examples: [
    'agent cluster lease set --preset default',
    'agent cluster lease set --multiplier 3',
    'agent cluster lease set --renew-deadline 8s --lease-duration 12s',
  ],
  args: {
    preset: { type: 'string', valueHint: 'default|fast', description: 'all four times of a preset' },
    multiplier: {
      type: 'string',
      valueHint: 'N',
      description: 'multiply the preset (or the default one) by this, for slow or unsteady networks; 1 to 20',
    },
    'retry-period': one('the active renews this often'),
    'renew-deadline': one('the active shuts its clients out this long after its last renewal'),
    'lease-duration': one('another may take over this long after the last renewal it has seen'),
    'fencing-time': one('the longest time that shutting clients out may take'),
  },
  async run({ agent, args, print }) {
    const change: LeaseChange = {};
    if (args.preset !== undefined) change.preset = presetOf(args.preset);
    if (args.multiplier !== undefined) change.multiplier = multiplierOf(args.multiplier);
    for (const [option, name] of Object.entries(TIMES)) {
      const text = args[option as keyof typeof TIMES];
      if (text !== undefined) change[name] = await durationOption(option, text);
    }
    if (Object.keys(change).length === 0)
      throw usageError('nothing to change', 'give --preset, --multiplier or a time');
    const lease = await (await agent()).setLease(change);
    print(lease, () =>
      [
        `the cluster's lease times are ${timesText(lease.used)}, version ${lease.version}`,
        "longer times apply from the next renewal; shorter ones once the former right has run out: 'agent cluster lease show'",
      ].join('\n'),
    );
  },
});

function presetOf(text: string): 'default' | 'fast' {
  if (text === 'default' || text === 'fast') return text;
  throw usageError(`--preset=${text} is not a preset`, 'write --preset=default or --preset=fast');
}

function multiplierOf(text: string): number {
  const factor = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && factor >= 1 && factor <= 20) return factor;
  throw usageError(
    `--multiplier=${text} is not a valid multiplier`,
    'write --multiplier=1 to --multiplier=20',
  );
}
