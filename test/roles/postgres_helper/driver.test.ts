import { describe, expect, test } from 'bun:test';
import { originals, starterOf } from '../../../agent/roles/postgres_helper/driver.ts';
import type { ServiceDriver, ServiceExit, ServiceUnit } from '../../../agent/roles/services/driver.ts';
import { systemdDriver } from '../../../agent/roles/services/systemd.ts';
import { type Deeds, down, type FakeUnit, fakeSystemd, up } from '../services/systemd_fake.ts';

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

describe('a start on a VM that is filed and has no process', () => {
  const POSTGRES = 'cloudify-postgresql.service';
  const filed = (unit: FakeUnit) => void Object.assign(unit, { job: 7 });
  function vm(first: Partial<FakeUnit>, deeds: Deeds) {
    const systemd = fakeSystemd(POSTGRES, first, deeds);
    const starter = starterOf(systemdDriver(systemd.options), '/log', true, () => {});
    return { ...systemd, revoke: async (ms: number) => await starter.revoke?.(ms), starter };
  }

  test('is taken back, though an earlier helper filed it', async () => {
    const { revoke, calls, unit } = vm({ job: 7 }, { stop: down });
    await revoke(1000);
    expect(calls).toEqual([`service stop ${POSTGRES}`]);
    expect([unit.job, unit.active]).toEqual([0, 'inactive']);
  });

  test('is taken back while it is waited for, and never has a process then', async () => {
    const { starter, revoke, calls, later } = vm({}, { start: filed, stop: down });
    const { promise, resolve } = Promise.withResolvers<void>();
    later.push(...Array.from({ length: 3 }, () => (unit: FakeUnit) => unit.job !== 0 && resolve()));
    const start = starter.start(['postgres']).catch((error) => error.code);
    await promise;
    await revoke(1000);
    expect(await start).toBe('service_start_cancelled');
    expect(calls).toEqual([`service start ${POSTGRES}`, `service stop ${POSTGRES}`]);
    expect(starter.pid()).toBeNull();
  });

  test('costs one question where there is none', async () => {
    const { revoke, calls, shows } = vm({}, {});
    await Promise.resolve();
    const before = shows.length;
    await revoke(1000);
    expect([calls, shows.length - before <= 1]).toEqual([[], true]);
  });

  test('and came to its process meanwhile is ended', async () => {
    const { revoke, unit, later } = vm(
      { job: 7 },
      {
        stop: (it) => {
          later.push(down);
          up(it);
        },
      },
    );
    await revoke(1000);
    expect(unit.mainPid).toBe(0);
  });

  test('of a child process needs no taking back', () => {
    expect(stage().starter(false).revoke).toBeUndefined();
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
