/**
 * A systemd that lives in memory: units, jobs that take as long as the test says, and the trampoline that
 * files them.
 */
import process from 'node:process';
import type { RunResult } from '../../../agent/platform/process.ts';
import type { Trampoline } from '../../../agent/roles/root/call.ts';
import { systemdDriver } from '../../../agent/roles/services/systemd.ts';
import type { Runner } from '../../../agent/roles/services/systemd_show.ts';

export interface FakeUnit {
  load: string;
  active: string;
  sub: string;
  mainPid: number;
  result: string;
  job: number;
  /** Still there though the unit may be down. */
  processes: number[];
  code: number;
  status: number;
  /** Of the process that `code` and `status` are of; 0: the main one. */
  execPid: number;
}

const DOWN: FakeUnit = {
  load: 'loaded',
  active: 'inactive',
  sub: 'dead',
  mainPid: 0,
  result: 'success',
  job: 0,
  processes: [],
  code: 0,
  status: 0,
  execPid: 0,
};

export type Deeds = Partial<Record<'start' | 'stop' | 'kill', (unit: FakeUnit) => void>>;

export function fakeSystemd(name: string, first: Partial<FakeUnit>, deeds: Deeds = {}) {
  const unit: FakeUnit = { ...DOWN, ...first };
  const calls: string[] = [];
  const shows: string[][] = [];
  let silent = false;
  /** What happens at the next questions, in order. */
  const later: ((unit: FakeUnit) => void)[] = [];

  const block = (id: string): string => {
    const { load, active, sub, mainPid, result, job, code, status, execPid } =
      id === name ? unit : { ...DOWN, load: 'not-found' };
    const fields = [
      `Id=${id}`,
      `LoadState=${load}`,
      `ActiveState=${active}`,
      `SubState=${sub}`,
      `MainPID=${mainPid}`,
      `Result=${result}`,
      `ExecMainPID=${execPid || mainPid}`,
      `ExecMainCode=${code}`,
      `ExecMainStatus=${status}`,
      'StateChangeTimestampMonotonic=1000000',
      `ControlGroup=/system.slice/${id}`,
      'Slice=system.slice',
      ...(job === 0 ? [] : [`Job=${job}`]),
    ];
    return fields.join('\n');
  };
  const run: Runner = async (_command, args) => {
    later.shift()?.(unit);
    const units = args.slice(args.indexOf('--') + 1);
    shows.push(units);
    const result: RunResult = {
      code: silent ? 1 : 0,
      stdout: units.map(block).join('\n\n'),
      stderr: '',
      duration: 1,
    };
    return silent ? { ...result, stdout: '', stderr: 'Failed to connect to bus' } : result;
  };
  const trampoline: Trampoline = async (...words) => {
    calls.push(words.join(' '));
    deeds[words[1] as keyof Deeds]?.(unit);
    return '';
  };
  return {
    unit,
    calls,
    shows,
    later,
    fall: (is: boolean) => {
      silent = is;
    },
    options: { run, trampoline, processes: () => unit.processes, watchEvery: 5 },
  };
}

export const UNIT = { name: 'worker', unit: 'worker.service' };
export const up = (unit: FakeUnit) =>
  void Object.assign(unit, { active: 'active', sub: 'running', mainPid: process.pid });
export const down = (unit: FakeUnit) =>
  void Object.assign(unit, { active: 'inactive', sub: 'dead', mainPid: 0, job: 0, processes: [] });

/** That systemd with a driver on it. */
export const world = (first: Partial<FakeUnit> = {}, deeds: Deeds = {}) => {
  const systemd = fakeSystemd('worker.service', first, deeds);
  return { ...systemd, driver: systemdDriver(systemd.options) };
};
