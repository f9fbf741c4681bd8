import { describe, expect, test } from 'bun:test';
import { runTrampoline } from '../../agent/trampoline/run.ts';
import { type FakeRoot, fakeRoot } from './fake_root.ts';

/** A small systemd: what is enabled, masked and running, changed by the calls it gets. */
function machine() {
  const units: Record<string, { file: string; active: boolean }> = {
    'postgresql.service': { file: 'enabled', active: true },
    'postgresql@15-main.service': { file: 'enabled-runtime', active: true },
    'rabbitmq-server.service': { file: 'enabled', active: true },
    'cloudify-mgmtworker.service': { file: 'disabled', active: false },
    'cloudify-iptables-restore.service': { file: 'disabled', active: false },
    'cloudify-postgresql.service': { file: 'disabled', active: false },
  };
  let broken = '';
  const root: FakeRoot = fakeRoot({
    answer(call) {
      const [, action = '', ...rest] = call.split(' ');
      if (broken !== '' && call.includes(broken)) return { code: 1, stderr: 'Failed: Connection timed out' };
      const unit = units[rest.at(-1) ?? ''];
      if (action === 'show')
        return {
          stdout: `UnitFileState=${unit?.file ?? ''}\nActiveState=${unit?.active ? 'active' : 'inactive'}\n`,
        };
      if (!unit) return {};
      if (action === 'mask') unit.file = 'masked';
      if (action === 'unmask')
        unit.file = rest.at(-1) === 'postgresql.service' ? 'disabled' : 'enabled-runtime';
      if (action === 'enable') unit.file = 'enabled';
      if (action === 'disable') unit.file = 'disabled';
      if (action === 'start') unit.active = true;
      if (action === 'stop') unit.active = false;
      return {};
    },
  });
  return {
    units,
    root,
    break: (text: string) => {
      broken = text;
    },
    ask: (way: 'take' | 'give') => runTrampoline(['units', way], root),
  };
}

describe('units', () => {
  test('taken: the distribution’s server is masked and stopped, the manager’s own no longer starts at boot', () => {
    const { units, ask } = machine();
    expect(ask('take')).toBe(0);
    expect(units).toMatchObject({
      'postgresql.service': { file: 'masked', active: false },
      'postgresql@15-main.service': { file: 'masked', active: false },
      'rabbitmq-server.service': { file: 'disabled', active: true },
      'cloudify-iptables-restore.service': { file: 'enabled' },
    });
  });

  test('given back are exactly as they were, also after a second take', () => {
    const { units, ask, root } = machine();
    const before = structuredClone(units);
    expect([ask('take'), ask('take')]).toEqual([0, 0]);
    units['cloudify-postgresql.service'] = { file: 'disabled', active: true };
    expect(ask('give')).toBe(0);
    expect(units).toEqual(before);
    expect(root.note).toBeUndefined();
  });

  test('that were masked before stay masked', () => {
    const { units, ask } = machine();
    units['postgresql.service'] = { file: 'masked', active: false };
    const before = structuredClone(units);
    ask('take');
    ask('give');
    expect(units).toEqual(before);
  });

  test('are masked before they are stopped: between the two nothing can start them', () => {
    const { ask, root } = machine();
    ask('take');
    const at = (text: string) => root.ran.findIndex((call) => call.includes(text));
    expect(at('mask -- postgresql@')).toBeLessThan(at('stop -- postgresql@'));
  });

  test('of which one fails: the others are done, and giving back can be repeated', () => {
    const { units, ask, root, ...rest } = machine();
    const before = structuredClone(units);
    ask('take');
    rest.break('start -- postgresql.service');
    expect(ask('give')).toBe(1);
    expect(root.said.at(-1)).toContain('postgresql.service: Failed: Connection timed out');
    expect(units['rabbitmq-server.service']).toEqual({ file: 'enabled', active: true });
    rest.break('');
    expect(ask('give')).toBe(0);
    expect(units).toEqual(before);
  });

  test('that were never taken are not touched by giving back', () => {
    const { ask, root } = machine();
    expect(ask('give')).toBe(0);
    expect(root.ran).toEqual([]);
  });
});
