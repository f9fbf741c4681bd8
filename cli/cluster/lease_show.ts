import type { LeaseReport } from '../../agent/api/lease.ts';
import { command } from '../common/command.ts';
import { duration, time, timesText } from '../common/format.ts';
import { facts } from '../common/table.ts';
import { requireCluster } from './require.ts';

export function leaseText(lease: LeaseReport): string {
  const { used, source, version, by, at, record, others, note } = lease;
  const set = [by === null ? '' : `by ${by}`, at === null ? '' : time(at)].filter(Boolean).join(', ');
  const late =
    record !== null && record.leaseDuration !== used.leaseDuration
      ? ': it is updated once no right under the former times can still run'
      : '';
  return facts([
    ['lease times', timesText(used)],
    [
      'set',
      source === 'cluster'
        ? `version ${version}${set === '' ? '' : `, ${set}`}`
        : "nowhere: each node uses its own file; 'agent cluster lease set' sets them",
    ],
    ['renewed every', duration(used.retryPeriod)],
    ['active until', `${duration(used.renewDeadline)} after its last renewal`],
    ['challenged after', `${duration(used.leaseDuration)} without one`],
    [
      'the lease says',
      record === null
        ? 'nothing: its holder uses its own file'
        : `${duration(record.renewDeadline)} and ${duration(record.leaseDuration)}${late}`,
    ],
    ['note', note ?? ''],
    ['other files', others.map(({ node, file }) => `${node}: ${timesText(file)}`).join('; ')],
  ]);
}

export default command({
  name: 'show',
  description: "the lease's times: the cluster's, what the lease itself says, and files that differ",
  examples: ['agent cluster lease show', 'agent cluster lease show --json'],
  args: {},
  async run({ agent, print }) {
    const client = await agent();
    await requireCluster(client);
    const lease = await client.lease();
    print(lease, () => leaseText(lease));
  },
});
