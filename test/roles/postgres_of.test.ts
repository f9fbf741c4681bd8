import { describe, expect, test } from 'bun:test';
import { originals, starterOf } from '../../agent/roles/postgres_of.ts';
import type { ServiceDriver, ServiceExit, ServiceUnit } from '../../agent/roles/services/driver.ts';

/** A driver whose processes are numbers. */
function stage() {
  let exited: (exit: ServiceExit) => void = () => {};
  let next = 2 ** 30;
  const units: ServiceUnit[] = [];
  const said: string[] = [];
  const driver = {
    start: async (unit: ServiceUnit) => {
      units.push(unit);
      return { state: 'running', pid: next++ };
    },
    status: async () => ({ state: 'stopped' }),
    onExit: (listener: (exit: ServiceExit) => void) => {
      exited = listener;
      return () => {};
    },
  } as unknown as ServiceDriver;
  const starter = (systemd: boolean) => starterOf(driver, '/log', systemd, (line) => said.push(line));
  const end = (pid: number) => exited({ name: 'postgres', pid, signal: 'SIGKILL', expected: false });
  return { units, said, starter, end };
}

describe('the starter', () => {
  test('on a VM starts the unit, whose command is its own, and waits for its process alone', async () => {
    const s = stage();
    await s.starter(true).start(['/bin/postgres', '-D', '/data']);
    expect(s.units).toEqual([
      { name: 'postgres', unit: 'cloudify-postgresql.service', startWaits: 'process' },
    ]);
    await s.starter(false).start(['/bin/postgres', '-D', '/data']);
    expect(s.units[1]).toMatchObject({ command: '/bin/postgres', args: ['-D', '/data'] });
  });

  test('tells of an end at once, and of one that comes late not as of the next server', async () => {
    const s = stage();
    const starter = s.starter(true);
    let ends = 0;
    starter.onExit(() => ends++);
    await starter.start(['postgres']);
    const first = starter.pid() ?? 0;
    await starter.start(['postgres']);
    const second = starter.pid() ?? 0;
    s.end(first);
    expect([ends, starter.pid()]).toEqual([0, second]);
    s.end(second);
    expect([ends, starter.pid()]).toEqual([1, null]);
    expect(s.said).toEqual(['the server ended by SIGKILL', 'the server ended by SIGKILL']);
  });

  test('an end that was asked for is no news', async () => {
    const s = stage();
    const starter = s.starter(true);
    await starter.start(['postgres']);
    const pid = starter.pid() ?? 0;
    starter.kill('SIGINT');
    s.end(pid);
    expect(s.said).toEqual([]);
  });
});

describe("the manager's own files", () => {
  const of = (over: object) => originals({ postgres: { data_dir: '/nowhere/15/main', ...over } } as never);

  test('are those of the configuration, the map beside the pg_hba', () => {
    expect(of({ original_config: '/a/p.conf', original_hba: '/b/hba.conf' })).toEqual({
      originalConfig: '/a/p.conf',
      originalHba: '/b/hba.conf',
      originalIdent: '/b/pg_ident.conf',
    });
  });
  test('are left out where there are none', () => {
    expect(of({ data_dir: '/nowhere/99/nothing' })).toEqual({});
  });
});
