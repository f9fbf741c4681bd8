/**
 * A call that comes over a socket: whatever comes, one answer or none, and nothing run but what the policy
 * allows.
 */
import { describe, expect, test } from 'bun:test';
import { answerOne } from '../../agent/trampoline/answer.ts';
import { callOf, LONGEST } from '../../agent/trampoline/request.ts';
import { type FakeRoot, fakeRoot } from './fake_root.ts';

const NOW = 1000;
const CONSUL = 'cloudify-consul.service';
const bytes = (text: string) => new TextEncoder().encode(text);
const line = (call: readonly unknown[], until: unknown = NOW + 5) => `${JSON.stringify({ until, call })}\n`;

async function* chunks(texts: readonly string[], silent: boolean): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield bytes(text);
  if (silent) await new Promise(() => {});
}

/** What `caller` hears who says `texts`, and then goes, or is `silent`. */
async function said(
  texts: readonly string[],
  { caller = 'cfyuser', silent = false, root = fakeRoot(), saidWithin = 5000 } = {},
): Promise<{ heard: string; answer: Record<string, unknown> | undefined; root: FakeRoot }> {
  let heard = '';
  await answerOne(caller, {
    root,
    input: chunks(texts, silent),
    write(text) {
      heard += text;
    },
    now: () => NOW,
    saidWithin,
  });
  const [greeting, answer, ...more] = heard.split('\n');
  expect(greeting).toBe('ready');
  expect(more.length).toBeLessThanOrEqual(1);
  return { heard, answer: answer ? JSON.parse(answer) : undefined, root };
}

describe('a request in time', () => {
  test('is carried out as whoever the socket belongs to, and the answer has what was printed', async () => {
    const root = fakeRoot({ answer: () => ({ stdout: 'Id=x\n' }) });
    const { answer } = await said([line(['service', 'status', CONSUL])], { root });
    expect(answer).toEqual({ code: 0, stdout: 'Id=x\n', stderr: '' });
    expect(root.ran[0]).toStartWith('systemctl show');
    expect(root.logged).toMatchObject([
      { outcome: 'done', caller: 'cfyuser', call: ['service', 'status', CONSUL] },
    ]);
  });

  test('may come in pieces, through the middle of a letter, and from a caller who does not close', async () => {
    const whole = line(['service', 'stop', CONSUL]);
    const { answer } = await said([...whole], { silent: true });
    expect(answer).toMatchObject({ code: 0 });
  });

  test('gets the trampoline’s own refusals and failures', async () => {
    const { answer, root } = await said([line(['service', 'stop', 'ssh.service'])]);
    expect(answer).toMatchObject({ code: 2, stderr: 'sudo_trampoline: refused: unknown unit\n' });
    expect(root.ran).toEqual([]);
    const failing = fakeRoot({ answer: () => ({ code: 5, stderr: 'no such job' }) });
    const failed = await said([line(['service', 'stop', CONSUL])], { root: failing });
    expect(failed.answer).toMatchObject({ code: 1, stderr: 'sudo_trampoline: failed: no such job\n' });
  });

  test('postgres has over its socket what sudo lets it have, and nobody is root by being nobody', async () => {
    const own = await said([line(['service', 'kill', 'cloudify-postgresql.service'])], {
      caller: 'postgres',
    });
    expect(own.answer).toMatchObject({ code: 0 });
    for (const [caller, call] of [
      ['postgres', ['service', 'restart', 'cloudify-postgresql.service']],
      ['postgres', ['service', 'stop', CONSUL]],
      ['postgres', ['units', 'give']],
      ['', ['service', 'stop', CONSUL]],
      ['cfyuser_consul', ['service', 'stop', CONSUL]],
    ] as const) {
      const { answer, root } = await said([line(call)], { caller });
      expect([answer?.code, root.ran]).toEqual([2, []]);
    }
  });

  test('is judged by the socket, whatever environment the process has', async () => {
    const root = fakeRoot({ user: 'root' });
    const { answer } = await said([line(['units', 'give'])], { caller: 'postgres', root });
    expect(answer).toMatchObject({ code: 2 });
  });
});

describe('refused, in the log, and nothing run', () => {
  const cases: [string, string[], string][] = [
    ['no JSON', ['service stop x\n'], 'not JSON'],
    ['an empty line', ['\n'], 'not JSON'],
    ['a number', ['7\n'], 'not an object'],
    ['null', ['null\n'], 'not an object'],
    ['a list', ['["service","stop"]\n'], "'call'"],
    ['no call', ['{"until":1005}\n'], "'call'"],
    ['a call of one text', [`{"until":1005,"call":"units take"}\n`], "'call'"],
    ['a word that is no text', [line(['service', ['stop'], CONSUL])], "'call'"],
    ['a call with a length of its own', ['{"until":1005,"call":{"length":1,"0":"units"}}\n'], "'call'"],
    ['65 words', [line(Array.from({ length: 65 }, () => 'x'))], "'call'"],
    ['no time', [`{"call":["service","stop","${CONSUL}"]}\n`], "'until'"],
    ['a time that is a text', [line(['service', 'stop', CONSUL], '1005')], "'until'"],
    ['a time without end', [`{"until":1e999,"call":["service","stop","${CONSUL}"]}\n`], "'until'"],
    ['a time far ahead', [line(['service', 'stop', CONSUL], NOW + 601)], 'ahead'],
    ['a time that has passed', [line(['service', 'start', CONSUL], NOW - 0.01)], 'too late'],
    ['two requests', [line(['service', 'stop', CONSUL]) + line(['units', 'give'])], 'more than one'],
    ['half a request', [line(['service', 'stop', CONSUL]).slice(0, -2)], 'before its request was complete'],
    [
      'a request without its end',
      [line(['service', 'stop', CONSUL]).trim()],
      'before its request was complete',
    ],
    ['too much', ['x'.repeat(LONGEST + 1)], 'too long'],
    ['too much, with a right end', [' '.repeat(LONGEST), line(['service', 'stop', CONSUL])], 'too long'],
  ];
  for (const [what, texts, why] of cases)
    test(what, async () => {
      const { answer, root } = await said(texts);
      // What came too late may be asked for again; everything else is not to be.
      expect(answer?.code).toBe(why === 'too late' ? 1 : 2);
      expect(answer?.stderr).toContain(why);
      expect(root.ran).toEqual([]);
      expect(root.logged).toMatchObject([{ outcome: 'refused', caller: 'cfyuser', call: [] }]);
      expect(root.logged.length).toBe(1);
    });

  test('a request that is never finished, after its time', async () => {
    const { answer, root } = await said(['{"until":'], { silent: true, saidWithin: 30 });
    expect(answer).toMatchObject({
      code: 2,
      stderr: 'sudo_trampoline: refused: no complete request came within 30 ms\n',
    });
    expect(root.ran).toEqual([]);
  });

  test('10,000 lines of chance', () => {
    let seed = 7;
    const next = (most: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return seed % most;
    };
    const parts = [
      '{',
      '}',
      '[',
      ']',
      '"until":',
      '"call":',
      '1001',
      '"service"',
      ',',
      ':',
      'null',
      '-',
      '\\',
      '"',
    ];
    let right = 0;
    for (let i = 0; i < 10_000; i++) {
      const text = Array.from({ length: next(12) }, () => parts[next(parts.length)]).join('');
      try {
        const call = callOf(text, NOW);
        expect(call.every((word) => typeof word === 'string')).toBe(true);
        right++;
      } catch (thrown) {
        expect((thrown as Error).name).toMatch(/^(Refusal|Late)$/);
      }
    }
    expect(right).toBeLessThan(100);
  });
});

test('a caller who says nothing and goes is nothing to talk of', async () => {
  const { heard, root } = await said([]);
  expect([heard, root.logged, root.ran]).toEqual(['ready\n', [], []]);
});

test('an answer has a bound, whatever is printed', async () => {
  const root = fakeRoot({ answer: () => ({ stdout: 'x'.repeat(1_000_000) }) });
  const { heard } = await said([line(['service', 'status', CONSUL])], { root });
  expect(heard.length).toBeLessThan(70_000);
});
