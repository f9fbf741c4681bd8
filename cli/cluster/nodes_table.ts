import type { NodeRow } from '../../agent/api/types.ts';
import { bytes } from '../common/format.ts';
import { type Result, resultColor, resultText } from '../common/result.ts';
import { type Column, table } from '../common/table.ts';
import { lastWord } from './outage.ts';

type CheckGroup = keyof NodeRow['checks'];

const resultOf = ({ checks, warnings = [] }: NodeRow, group: CheckGroup): Result => ({
  ok: checks[group],
  warning: warnings.includes(group),
});

/** Of a silent node nothing is known: neither that it is well nor that it is not. */
export const checkText = (row: NodeRow, group: CheckGroup): string =>
  row.silent === true ? 'silent' : resultText(resultOf(row, group));

const check = (title: string, group: CheckGroup): Column<NodeRow> => ({
  title,
  value: (row) => checkText(row, group),
  color: (row) => (row.silent === true ? 'red' : resultColor(resultOf(row, group))),
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
    color: ({ state }) => (state === 'leader' ? 'green' : state === 'replica' ? undefined : 'red'),
  },
  check('consul', 'consul'),
  check('cloudify services', 'services'),
  check('database', 'database'),
  check('heartbeat', 'heartbeat'),
  check('filesync', 'filesync'),
  { title: 'lag', value: lagText, align: 'right' },
];

const LAST_WORD: Column<NodeRow> = { title: 'last word', value: lastWord, color: () => 'red' };

/** Below the table: who is not set up as the active is. */
const differing = (nodes: readonly NodeRow[]): string[] =>
  nodes.flatMap(({ name, differs = [] }) => differs.map((what) => `${name} differs in ${what}\n`));

export const nodesTable = (nodes: readonly NodeRow[], colored: boolean): string => {
  const columns = nodes.some(({ silent }) => silent) ? [...COLUMNS, LAST_WORD] : COLUMNS;
  return [table(columns, nodes, colored), ...differing(nodes)].join('');
};
