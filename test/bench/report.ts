import { table } from '../demo/text.ts';
import { type AtRest, median } from './measure.ts';
import type { Series } from './series.ts';

export interface Results {
  readonly when: string;
  readonly machine: string;
  /** Load average of the last minute before the run: above half a core, something else was running too. */
  readonly loadBefore: number;
  readonly runs: number;
  readonly series: readonly Series[];
  readonly rest: readonly AtRest[];
  /** Milliseconds of each run. */
  readonly cli: Readonly<Record<string, readonly number[]>>;
  readonly acknowledged: number;
  readonly lost: number;
  readonly overlaps: number;
}

interface Goal {
  readonly title: string;
  /** The largest value that reaches it, in the unit of the row. */
  readonly target: number;
  /**
   * What Patroni 4.1.4 did on the same kind of machine: at its defaults, and with the lowest times it allows.
   */
  readonly peer: string;
}

const GOALS: Readonly<Record<string, Goal>> = {
  switchover: { title: 'switchover', target: 400, peer: '1.11-1.16 / 1.19-1.80 s' },
  postmaster: {
    title: 'postmaster killed, restarted in place',
    target: 400,
    peer: '4.13-6.66 / 0.53-1.14 s',
  },
  manager: { title: 'active manager killed, preset default', target: 7000, peer: '12.7-13.6 / 20.0-24.0 s' },
  'manager-fast': {
    title: 'active manager killed, preset fast',
    target: 4000,
    peer: '12.7-13.6 / 20.0-24.0 s',
  },
  unstartable: { title: 'postmaster that cannot start again', target: 6000, peer: '' },
  hung: { title: 'hung database on the active', target: 3500, peer: '' },
  powercut: { title: 'active VM killed, preset default', target: 7000, peer: '12.7-13.6 / 20.0-24.0 s' },
  'powercut-fast': { title: 'active VM killed, preset fast', target: 4000, peer: '12.7-13.6 / 20.0-24.0 s' },
  cutoff: { title: 'active VM cut off, preset default', target: 7000, peer: '15.7-never / 21.7-26.1 s' },
  agent: { title: 'agent restarted on the active: longest gap, no role change', target: 400, peer: '' },
  consul: { title: 'each Consul restarted in turn: longest gap, no role change', target: 400, peer: '' },
  'agent cluster nodes list': { title: 'agent cluster nodes list', target: 80, peer: '217 ms' },
  'agent --version': { title: 'agent --version', target: 80, peer: '' },
};

const inUnit = (ms: number, unit: 's' | 'ms') =>
  unit === 's' ? `${(ms / 1000).toFixed(2)} s` : `${ms.toFixed(0)} ms`;

function timeRow(name: string, times: readonly number[], unit: 's' | 'ms'): string[] {
  const goal = GOALS[name];
  const middle = median(times);
  return [
    goal?.title ?? name,
    inUnit(middle, unit),
    inUnit(Math.min(...times), unit),
    inUnit(Math.max(...times), unit),
    goal === undefined ? '' : `<= ${inUnit(goal.target, unit)}`,
    goal === undefined ? '' : middle <= goal.target ? 'yes' : 'NO',
    goal?.peer ?? '',
  ];
}

function restRows(rest: readonly AtRest[]): string[][] {
  if (rest.length === 0) return [];
  const row = (title: string, values: readonly number[], unit: string, target: number, peer: string) => {
    const show = (value: number) => `${value.toFixed(2)} ${unit}`;
    const middle = median(values);
    const reached = middle <= target ? 'yes' : 'NO';
    return [
      title,
      show(middle),
      show(Math.min(...values)),
      show(Math.max(...values)),
      `<= ${target} ${unit}`,
      reached,
      peer,
    ];
  };
  const cpu = rest.map((node) => node.cpu);
  const memory = rest.map((node) => node.memory);
  return [
    row('agent at rest, one core', cpu, '%', 0.5, '0.4 %'),
    row('agent at rest, memory', memory, 'MB', 50, '47 MB'),
  ];
}

/** The table that is printed. */
export function report(results: Results): string {
  const head = ['what', 'median', 'min', 'max', 'target', 'reached', 'Patroni: defaults / fastest'];
  const rows = [
    ...results.series.map(({ name, downtimes }) => timeRow(name, downtimes, 's')),
    ...restRows(results.rest),
    ...Object.entries(results.cli).map(([name, times]) => timeRow(name, times, 'ms')),
  ];
  const noisy = results.loadBefore > 0.5;
  return [
    ...(noisy
      ? [`\n  NOTE: the load was ${results.loadBefore.toFixed(1)} before this began: other work disturbs it.`]
      : []),
    `\n  ${results.machine}, ${results.runs} runs each; downtime: the longest gap between two acknowledged writes anywhere`,
    '',
    table(head, rows),
    '',
    `  Acknowledged writes: ${results.acknowledged}. Lost: ${results.lost}. Moments with two writable managers: ${results.overlaps}.`,
  ].join('\n');
}
