import { expect, test } from 'bun:test';
import { startNotify } from '../../agent/platform/notify.ts';

const SYSTEMD = { NOTIFY_SOCKET: '/run/systemd/notify', WATCHDOG_USEC: '9000000', WATCHDOG_PID: '42' };

function world(env: Record<string, string | undefined>, { slow = false } = {}) {
  const said: string[] = [];
  let every: { ms: number; tick: () => void } | undefined;
  let well = true;
  const held: (() => void)[] = [];
  const notifier = startNotify({
    healthy: () => well,
    env,
    pid: 42,
    run: async (command, args) => {
      said.push([command, ...args].join(' '));
      if (slow) await new Promise<void>((done) => held.push(done));
      return { code: 0, stdout: '', stderr: '', duration: 1 };
    },
    every: (ms, tick) => {
      every = { ms, tick };
      return () => {
        every = undefined;
      };
    },
  });
  return {
    said,
    notifier,
    every: () => every,
    sicken: () => {
      well = false;
    },
    finish: async () => {
      for (const done of held.splice(0)) done();
      await new Promise((done) => setImmediate(done));
    },
  };
}

test('it is ready at once, and shows signs of life three times per watchdog time', async () => {
  const { said, every, finish } = world(SYSTEMD);
  expect(every()?.ms).toBe(3000);
  every()?.tick();
  await finish();
  every()?.tick();
  const sign = 'systemd-notify WATCHDOG=1';
  expect(said).toEqual(['systemd-notify --ready --pid=42', sign, sign]);
});

test('an unhealthy agent shows no sign of life, so that the watchdog ends it', () => {
  const { said, every, sicken } = world(SYSTEMD);
  sicken();
  every()?.tick();
  expect(said.length).toBe(1);
});

test('a sign that is under way is not joined by another', async () => {
  const { said, every, finish } = world(SYSTEMD, { slow: true });
  for (let i = 0; i < 3; i++) every()?.tick();
  expect(said.length).toBe(2);
  await finish();
  every()?.tick();
  expect(said.length).toBe(3);
});

test('stopping is said, and the signs of life end', async () => {
  const { said, every, notifier } = world(SYSTEMD);
  await notifier.stopping();
  expect(every()).toBeUndefined();
  expect(said.at(-1)).toBe('systemd-notify STOPPING=1');
});

test('without systemd, or with a watchdog meant for another process, nothing is said of it', async () => {
  const none = world({});
  await none.notifier.stopping();
  expect([none.said, none.every()]).toEqual([[], undefined]);
  expect(world({ ...SYSTEMD, WATCHDOG_PID: '1' }).every()).toBeUndefined();
  expect(world({ NOTIFY_SOCKET: '/x' }).every()).toBeUndefined();
});
