import type { NodeRow } from '../../agent/http/port.ts';
import { bytes } from '../format.ts';
import { type Column, table } from '../table.ts';

type CheckGroup = keyof NodeRow['checks'];

const check = (title: string, group: CheckGroup): Column<NodeRow> => ({
  title,
  value: ({ checks }) => (checks[group] ? 'OK' : 'FAIL'),
  color: ({ checks }) => (checks[group] ? 'green' : 'red'),
});

/** What a node lacks towards the active: nothing to say of the active itself, or when it is not known. */
export const lagText = ({ lag, state }: NodeRow): string =>
  lag === null || state === 'leader' ? '-' : bytes(lag);

const COLUMNS: Column<NodeRow>[] = [
  { title: 'name', value: ({ name }) => name },
  { title: 'host_ip', value: ({ host_ip }) => host_ip },
  {
    title: 'state',
    value: ({ state }) => state,
    color: ({ state }) => (state === 'offline' ? 'red' : state === 'leader' ? 'green' : undefined),
  },
  check('consul', 'consul'),
  check('cloudify services', 'services'),
  check('database', 'database'),
  check('heartbeat', 'heartbeat'),
  check('filesync', 'filesync'),
  { title: 'lag', value: lagText, align: 'right' },
];

/** Below the table: who is not set up as the active is. */
const differing = (nodes: readonly NodeRow[]): string[] =>
  nodes.flatMap(({ name, differs = [] }) => differs.map((what) => `${name} differs in ${what}\n`));

export const nodesTable = (nodes: readonly NodeRow[], colored: boolean): string =>
  [table(COLUMNS, nodes, colored), ...differing(nodes)].join('');
