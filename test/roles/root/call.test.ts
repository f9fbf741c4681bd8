import { describe, expect, test } from 'bun:test';
import type { RunResult } from '../../../agent/platform/process.ts';
import { createTrampoline } from '../../../agent/roles/root/call.ts';

const ask = async (result: Partial<RunResult>, ...words: [string, ...string[]]) => {
  const calls: string[] = [];
  const trampoline = createTrampoline({
    over: async () => undefined,
    run: async (command, args, options) => {
      calls.push([command, ...args, `in ${options.cwd}`].join(' '));
      return { code: 0, stdout: '', stderr: '', duration: 1, ...result };
    },
  });
  const outcome = await trampoline(...words).catch((error: { class: string; code: string }) => error);
  return { outcome, calls };
};

describe('a call of the trampoline', () => {
  test('goes through sudo, which never asks for a password, and gives what was printed', async () => {
    const { outcome, calls } = await ask({ stdout: 'Id=a\n' }, 'service', 'status', 'a.service');
    expect(outcome).toBe('Id=a\n');
    expect(calls).toEqual(['/usr/bin/sudo -n /opt/cloudify/sudo_trampoline service status a.service in /']);
  });

  const cases: [string, Partial<RunResult>, string, string][] = [
    [
      'refused by the policy',
      { code: 2, stderr: 'sudo_trampoline: refused: unknown unit\n' },
      'operator',
      'trampoline_refused',
    ],
    ['refused by sudo', { code: 1, stderr: 'sudo: a password is required\n' }, 'operator', 'sudo_refused'],
    ['that failed', { code: 1, stderr: 'sudo_trampoline: failed: x\n' }, 'transient', 'trampoline_failed'],
    [
      'that nobody answered',
      { code: undefined, stderr: 'no answer' } as never,
      'transient',
      'trampoline_failed',
    ],
    ['that took too long', { ended: 'deadline' }, 'transient', 'trampoline_timeout'],
  ];
  for (const [what, result, kind, code] of cases)
    test(`${what} is ${kind}`, async () => {
      const { outcome } = await ask(result, 'firewall', 'active');
      expect(outcome).toMatchObject({ class: kind, code });
    });

  test('goes over the socket where root listens, and then not through sudo', async () => {
    const asked: unknown[] = [];
    const trampoline = createTrampoline({
      socket: '/run/x/call.sock',
      over: async (call) => {
        asked.push(call);
        return { code: 0, stdout: 'Id=a\n', stderr: '', duration: 1 };
      },
      run: () => Promise.reject(new Error('sudo was asked')),
    });
    expect(await trampoline('service', 'status', 'a.service')).toBe('Id=a\n');
    expect(asked).toEqual([
      { path: '/run/x/call.sock', words: ['service', 'status', 'a.service'], deadline: 20_000 },
    ]);
  });
});
