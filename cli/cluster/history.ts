import type { HistoryRecord } from '../../agent/core/records.ts';
import { command } from '../common/command.ts';
import { duration, lsn, time } from '../common/format.ts';
import { type Column, table } from '../common/table.ts';
import { requireCluster } from './require.ts';

const COLUMNS: Column<HistoryRecord>[] = [
  { title: 'epoch', value: ({ epoch }) => String(epoch), align: 'right' },
  { title: 'at', value: ({ at }) => time(at) },
  { title: 'kind', value: ({ kind }) => kind },
  { title: 'active', value: ({ holder }) => holder },
  { title: 'from', value: ({ from }) => from ?? '-' },
  { title: 'timeline', value: ({ timeline }) => String(timeline), align: 'right' },
  { title: 'lsn', value: (record) => lsn(record.lsn) },
  {
    title: 'downtime',
    value: ({ downtimeMs }) => (downtimeMs === null ? '-' : duration(downtimeMs)),
    align: 'right',
  },
  { title: 'reason', value: ({ reason }) => reason },
];

export const historyTable = (records: readonly HistoryRecord[], colored: boolean): string =>
  table(
    COLUMNS,
    [...records].sort((a, b) => a.epoch - b.epoch),
    colored,
  );

export default command({
  name: 'history',
  description: 'who was active, since when, why, and what each change cost',
  examples: ['agent cluster history'],
  args: {},
  async run({ agent, print, terminal }) {
    const client = await agent();
    await requireCluster(client);
    const records = await client.history();
    print(records, () => historyTable(records, terminal.color));
  },
});
