import { afterAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clockCheck } from '../../agent/checks/clock.ts';
import { readOffset, readShown, readTracking } from '../../agent/checks/clock_answers.ts';
import { sleep } from '../../agent/platform/clock.ts';

const dir = mkdtempSync(join(tmpdir(), 'agent-clock-'));
afterAll(() => {
  // Those that hang lead groups of their own. They are killed two seconds after they were given up, if this
  // process lives that long.
  for (const name of ['a', 'b', 'c']) {
    try {
      process.kill(-Number(readFileSync(join(dir, name), 'utf8')), 'SIGKILL');
    } catch {}
  }
  rmSync(dir, { recursive: true, force: true });
});

const NOW = Date.parse('2026-01-02T03:04:05Z');
const HOUR = 3_600_000;

/** A line of `chronyc -c tracking`: `offset` in s, last heard `age` ms ago. */
const tracking = ({
  offset = '0.000012345',
  age = 60_000,
  leap = 'Normal',
  id = 'C0000201',
  interval = '64.5',
} = {}) =>
  [
    ...[id, '192.0.2.1', '3', ((NOW - age) / 1000).toFixed(9), offset],
    ...[
      '-0.000023456',
      '0.000034567',
      '-12.345',
      '0.001',
      '0.123',
      '0.012345678',
      '0.001234567',
      interval,
      leap,
    ],
  ].join();
const UNSYNCHRONISED = `00000000,,0,0.000000000,${'0.000000000,'.repeat(3)}0.000,0.000,0.000,1.000000000,1.000000000,0.0,Not synchronised`;

const shown = (synchronized: string, service: string) =>
  `Timezone=Etc/UTC\nLocalRTC=no\nCanNTP=yes\nNTP=${service}\nNTPSynchronized=${synchronized}\nTimeUSec=Fri 2026-01-02 03:04:05 UTC\n`;
const timesync = (offset: string, leap = 'normal') =>
  `       Server: 192.0.2.1 (ntp.example.com)
Poll interval: 34min 8s (min: 32s; max 34min 8s)
         Leap: ${leap}
      Version: 4
      Stratum: 2
    Reference: C0000202
    Precision: 1us (-24)
Root distance: 23.456ms (max: 5s)
       Offset: ${offset}
        Delay: 12.345ms
       Jitter: 10month 2w 1d 13h 28min 23.169258s
 Packet count: 17
    Frequency: -0.870ppm
`;
const NOT_HEARD =
  '       Server: n/a (ntp.example.com)\nPoll interval: 0 (min: 32s; max 34min 8s)\n Packet count: 0\n';

let made = 0;
/** A program that is a script of the shell. */
function program(script: string): string {
  const path = join(dir, `program-${made++}`);
  writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return path;
}
const saying = (text: string) => `cat <<'END'\n${text}\nEND`;
const MISSING = join(dir, 'missing');
const refusing = () => program('echo "506 Cannot talk to daemon" >&2; exit 1');
const chrony = (text: string) => program(`[ "$*" = "-n -c tracking" ] || exit 9\n${saying(text)}`);
const systemd = (show: string, status = 'echo "Failed to query server" >&2; exit 1') =>
  program(`case "$1" in\nshow) ${show};;\ntimesync-status) ${status};;\n*) exit 9;;\nesac`);
/** The two answers of timedatectl, as the script writes them. */
const answers = (show: string, status?: string) =>
  systemd(saying(show).replace(/$/, '\n'), status === undefined ? undefined : `${saying(status)}\n`);

/** A run with a limit of 30 s, more than a busy machine needs for three scripts. */
const run = (chronyc: string, timedatectl: string, ms = 30_000, max = 500) =>
  clockCheck(max, () => NOW, { chronyc, timedatectl }).run({ ms, signal: new AbortController().signal });

describe('chrony', () => {
  test('within the limit passes, beyond it warns, either way; the texts do not move with the offset', async () => {
    for (const offset of ['0.000012345', '0.5', '-0.499999999'])
      expect(await run(chrony(tracking({ offset })), MISSING)).toEqual({
        verdict: 'pass',
        output: 'at most 500 ms off, by chrony',
      });
    for (const offset of ['0.500001', '-7200.0'])
      expect(await run(chrony(tracking({ offset })), MISSING)).toEqual({
        verdict: 'warn',
        output: "this clock is more than 500 ms off, by chrony; see 'chronyc tracking'",
      });
    expect(await run(chrony(tracking({ offset: '0.6' })), MISSING, 30_000, 1000)).toMatchObject({
      verdict: 'pass',
    });
  }, 60_000);

  test('without a server, and with no clock but its own, nothing synchronises', async () => {
    expect(await run(chrony(UNSYNCHRONISED), MISSING)).toEqual({
      verdict: 'warn',
      output: "nothing synchronises this clock: chrony has no server to follow; see 'chronyc sources'",
    });
    const { verdict, output } = await run(chrony(tracking({ id: '7F7F0101' })), MISSING);
    expect([verdict, output]).toEqual(['warn', expect.stringContaining('the clock of this machine itself')]);
  }, 60_000);

  test('what it knew hours ago is not known now, unless it asks that seldom', async () => {
    expect(await run(chrony(tracking({ age: 3 * HOUR + 1000 })), MISSING)).toEqual({
      verdict: 'warn',
      output: "not known: chrony has heard no server for hours; see 'chronyc sources'",
    });
    expect(await run(chrony(tracking({ age: -4 * HOUR })), MISSING)).toMatchObject({ verdict: 'warn' });
    expect(await run(chrony(tracking({ age: 4 * HOUR, interval: '7200.0' })), MISSING)).toMatchObject({
      verdict: 'pass',
    });
  }, 60_000);

  test('what it says in a form of its own is not known', async () => {
    for (const text of [
      '',
      'garbage',
      tracking({ leap: 'Fine' }),
      tracking({ offset: 'NaN' }),
      `${tracking()},x,y`,
    ]) {
      const { verdict, output } = await run(chrony(text), MISSING);
      expect([text, verdict, output]).toEqual([
        text,
        'warn',
        expect.stringMatching(/^not known: chronyc says/),
      ]);
    }
  }, 60_000);
});

describe('without chrony, systemd', () => {
  const off = (offset: string) => answers(shown('yes', 'yes'), timesync(offset));

  test('within the limit passes, beyond it warns', async () => {
    for (const chronyc of [MISSING, refusing()])
      expect(await run(chronyc, off('-499.999ms'))).toEqual({
        verdict: 'pass',
        output: 'at most 500 ms off, by systemd-timesyncd',
      });
    expect(await run(MISSING, off('+7.493693s'))).toEqual({
      verdict: 'warn',
      output: "this clock is more than 500 ms off, by systemd-timesyncd; see 'timedatectl timesync-status'",
    });
  }, 60_000);

  test('nothing synchronises it: the service runs or not', async () => {
    const starts = (text: string) =>
      expect.stringMatching(new RegExp(`^nothing synchronises this clock: ${text}`));
    expect(await run(MISSING, answers(shown('no', 'yes'), NOT_HEARD))).toEqual({
      verdict: 'warn',
      output: starts('its service runs'),
    });
    expect(await run(MISSING, answers(shown('no', 'no')))).toEqual({
      verdict: 'warn',
      output: starts("turn it on with 'timedatectl set-ntp true'"),
    });
  }, 60_000);

  test('a service that cannot tell how far off it is, is no pass', async () => {
    const untold = {
      verdict: 'warn' as const,
      output: expect.stringMatching(/^not known: something keeps this clock/),
    };
    expect(await run(MISSING, answers(shown('yes', 'yes')))).toEqual(untold);
    expect(await run(MISSING, answers(shown('yes', 'yes'), NOT_HEARD))).toEqual(untold);
    expect(await run(MISSING, answers(shown('yes', 'yes'), timesync('+1us', 'not synchronized')))).toEqual(
      untold,
    );
    // Stopped by somebody: the question would start it.
    const asked = join(dir, 'asked');
    const stopped = systemd(`${saying(shown('yes', 'no'))}\n`, `touch ${asked}`);
    expect(await run(MISSING, stopped)).toEqual(untold);
    expect(await Bun.file(asked).exists()).toBe(false);
  }, 60_000);

  test('what cannot be read, or does not answer, is not known', async () => {
    const unknown = (why: string) => ({
      verdict: 'warn' as const,
      output: expect.stringMatching(new RegExp(`^not known: ${why}`)),
    });
    expect(await run(MISSING, answers('NTPSynchronized=perhaps'))).toEqual(unknown('timedatectl says what'));
    expect(await run(MISSING, refusing())).toEqual(unknown('neither chronyc nor timedatectl'));
    expect(await run(refusing(), MISSING)).toEqual(unknown('chronyc reaches no chronyd'));
  }, 60_000);
});

describe('the programs', () => {
  test('neither is there: not known, with the next step', async () => {
    expect(await run(MISSING, MISSING)).toEqual({
      verdict: 'warn',
      output:
        'not known: neither chronyc nor timedatectl tells here; install chrony, or run systemd-timesyncd',
    });
  });

  test('one that hangs, even with its ears shut, ends the run within its limit as not known, and no other is asked', async () => {
    const hangs = (pid: string) => `trap '' TERM\necho $$ >${join(dir, pid)}\nwhile :; do sleep 0.1; done`;
    const late = async (chronyc: string, timedatectl: string) => {
      const over = { verdict: 'over', output: 'the limit' };
      const ended = await Promise.race([run(chronyc, timedatectl, 6000), sleep(6000).then(() => over)]);
      return [ended.verdict, ended.output.split(';')[0]];
    };
    const show = `${saying(shown('yes', 'yes'))}\n`;
    expect(
      await Promise.all([
        late(program(hangs('a')), answers(shown('yes', 'yes'), timesync('0'))),
        late(MISSING, systemd(hangs('b'))),
        late(MISSING, systemd(show, hangs('c'))),
      ]),
    ).toEqual([
      ['warn', 'not known: chronyc does not answer'],
      ['warn', 'not known: timedatectl does not answer'],
      ['warn', 'not known: systemd-timesyncd does not answer'],
    ]);
  }, 60_000);

  test('a flood of output is cut, and says nothing', async () => {
    const flood = program("head -c 3000000 /dev/zero | tr '\\0' ,");
    expect(await run(flood, MISSING)).toMatchObject({
      verdict: 'warn',
      output: expect.stringMatching(/^not known/),
    });
  }, 60_000);

  test('the real ones of this machine, if any, give a pass or a warning', async () => {
    const real = clockCheck(500, () => Date.now());
    const { verdict } = await real.run({ ms: 30_000, signal: new AbortController().signal });
    expect(['pass', 'warn']).toContain(verdict);
  }, 60_000);
});

describe('the readers', () => {
  test('a line of chronyc, also one without the name of the server', () => {
    const servers = {
      follows: 'servers',
      offset: expect.closeTo(250),
      heardAt: NOW - 60_000,
      interval: 64_500,
    };
    const line = tracking({ offset: '-0.250000000', leap: 'Insert second' });
    expect(readTracking(`${line}\n`)).toEqual(servers as never);
    expect(readTracking(line.replace(',192.0.2.1', ''))).toEqual(servers as never);
    expect(readTracking(UNSYNCHRONISED)).toEqual({ follows: 'nothing' });
    expect(readTracking(`${line}\n${line}`)).toBeNull();
  });

  test('what timedatectl shows', () => {
    expect(readShown(shown('yes', 'no'))).toEqual({ synchronized: true, service: false });
    expect(readShown('XNTPSynchronized=yes\nNTP=1\n')).toEqual({ synchronized: null, service: null });
  });

  test.each([
    ['0', 0],
    ['+0', 0],
    ['+39us', 0.039],
    ['+39μs', 0.039],
    ['-5.086ms', 5.086],
    ['+1min 2.5s', 62_500],
    ['-2h 3min', 7_380_000],
    ['+1month 2w', 2_629_800_000 + 1_209_600_000],
    ['n/a', null],
    ['+5 parsecs', null],
    ['+5', null],
    ['', null],
  ])('the offset %p', (text, ms) => {
    const read = readOffset(timesync(text));
    if (ms === null) expect(read).toBeNull();
    else expect(read).toBeCloseTo(ms, 6);
  });
});
