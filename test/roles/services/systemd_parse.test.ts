import { describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { processesOf } from '../../../agent/roles/services/systemd_cgroup.ts';
import { PROPERTIES, parseBlock, slicePath } from '../../../agent/roles/services/systemd_show.ts';
import {
  complaintOf,
  exitCodeOfUnit,
  signalOfUnit,
  stateOf,
} from '../../../agent/roles/services/systemd_state.ts';
import { STATUS } from '../../../agent/trampoline/perform.ts';

/** As systemd 252 printed it. */
const FAILED = `Id=postgresql@15-main.service
LoadState=loaded
ActiveState=failed
SubState=failed
MainPID=0
Result=signal
ExecMainPID=81
ExecMainCode=2
ExecMainStatus=9
StateChangeTimestampMonotonic=1500000
ControlGroup=
Slice=system-postgresql.slice
Job=`;

test('a unit as systemctl shows it: where its processes would be, and how the last one ended', () => {
  const unit = parseBlock(FAILED);
  expect(unit).toEqual({
    id: 'postgresql@15-main.service',
    load: 'loaded',
    active: 'failed',
    sub: 'failed',
    mainPid: 0,
    result: 'signal',
    ended: { pid: 81, how: 'killed', status: 9 },
    changedAt: 1.5,
    cgroup: '/system.slice/system-postgresql.slice/postgresql@15-main.service',
    job: false,
  });
  if (!unit) throw new Error('not parsed');
  expect([stateOf(unit), exitCodeOfUnit(unit), signalOfUnit(unit)]).toEqual(['failed', 137, 'SIGKILL']);
  expect(complaintOf(unit)).toBe('failed (failed), signal, SIGKILL');
});

test('root is asked for the same things as systemctl', () => {
  expect(STATUS.split(',')).toEqual([...PROPERTIES]);
});

test('text that is no unit is none, and unknown words are an unknown state', () => {
  expect(parseBlock('')).toBeUndefined();
  expect(parseBlock('Id=x.service')).toBeUndefined();
  const odd = parseBlock(FAILED.replace('=failed', '=sleeping'));
  expect(odd && stateOf(odd)).toBe('unknown');
});

test('each dash of a slice is a level', () => {
  expect(['system.slice', 'a-b-c.slice', '-.slice'].map(slicePath)).toEqual([
    '/system.slice',
    '/a.slice/a-b.slice/a-b-c.slice',
    '',
  ]);
});

describe('the processes of a cgroup', () => {
  const within = (act: (root: string) => void) => {
    const root = mkdtempSync(join(tmpdir(), 'cgroup-'));
    try {
      act(root);
    } finally {
      rmSync(root, { recursive: true });
    }
  };

  test('are those of the cgroups below it too, and none when it is not there', () =>
    within((root) => {
      mkdirSync(join(root, 'system.slice/a.service/sub'), { recursive: true });
      writeFileSync(join(root, 'system.slice/a.service/cgroup.procs'), `${process.pid}\n`);
      writeFileSync(join(root, 'system.slice/a.service/sub/cgroup.procs'), '1\n');
      expect(processesOf('/system.slice/a.service', root)).toEqual([process.pid, 1]);
      expect(processesOf('/system.slice/b.service', root)).toEqual([]);
    }));

  test('are not said to be none where the hierarchy is not mounted', () =>
    within((root) => {
      expect(() => processesOf('/system.slice/a.service', root)).toThrow();
    }));
});
