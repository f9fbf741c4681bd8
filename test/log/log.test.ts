import { afterAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileReporter } from '../../agent/log/file.ts';
import { createLog, entryLine, type LogEntry } from '../../agent/log/log.ts';
import { testLog } from '../fixtures/log.ts';

const dir = mkdtempSync(join(tmpdir(), 'log-'));
afterAll(() => rmSync(dir, { recursive: true }));

const entry = (over: Partial<LogEntry> = {}): LogEntry => ({
  timestamp: Date.UTC(2026, 0, 2, 3, 4, 5, 6) * 1000 + 7,
  level: 'warn',
  component: 'lease',
  message: 'renewed',
  ...over,
});

test('a line has the time, the level, the component and the message', () => {
  expect(entryLine(entry())).toBe('2026-01-02T03:04:05.006Z WARN  [lease] renewed');
});

describe('a message', () => {
  const said = (...args: [unknown, ...unknown[]]) => {
    const log = testLog();
    log.for('lease').info(...args);
    return log.entries[0]?.message;
  };

  test('is one line, with its details', () => {
    expect(said('two\n  lines', { epoch: 3 }, 4)).toBe('two | lines {"epoch":3} 4');
  });

  test('names an error and its causes without repeating them', () => {
    const cause = new Error('connection refused');
    expect(said('cannot renew:', new Error('no server', { cause }))).toBe(
      'cannot renew: no server: connection refused',
    );
  });

  test('shows no secret', () => {
    expect(said('with', { token: 'hush', url: 'postgres://u:hush@h/d' })).toBe(
      'with {"token":"[redacted]","url":"postgres://u:[redacted]@h/d"}',
    );
  });

  test('is not hidden for being said before', () => {
    const log = testLog();
    for (let i = 0; i < 20; i++) log.for('lease').info('the same');
    expect(log.messages()).toEqual(Array(20).fill('lease: the same'));
  });

  test('below the level is not said', () => {
    const log = testLog('warn');
    log.for('agent').info('a');
    log.for('agent').warn('b');
    log.for('agent').error('c');
    expect(log.entries.map(({ level }) => level)).toEqual(['warn', 'error']);
  });
});

describe('the ring', () => {
  test('gives what came after a cursor, of one component, the newest of them', () => {
    const log = createLog({ reporters: [], ringSize: 100 });
    for (const message of ['a', 'b', 'c', 'd']) log.for('lease').info(message);
    log.for('http').info('e');
    const rows = log.ring.read();
    expect(rows.map(({ message }) => message)).toEqual(['a', 'b', 'c', 'd', 'e']);
    const since = rows[0]?.cursor ?? '';
    expect(log.ring.read({ since, component: 'lease', limit: 2 }).map(({ message }) => message)).toEqual([
      'c',
      'd',
    ]);
    expect(log.ring.read({ since: rows[4]?.cursor ?? '' })).toEqual([]);
  });

  test('keeps the newest lines in order, with rising times', () => {
    const log = createLog({ reporters: [], ringSize: 3 });
    for (let i = 0; i < 8; i++) log.for('lease').info(String(i));
    const rows = log.ring.read();
    expect(rows.map(({ message }) => message)).toEqual(['5', '6', '7']);
    expect(new Set(rows.map(({ timestamp }) => timestamp)).size).toBe(3);
  });

  test('can be followed until one has enough', () => {
    const log = createLog({ reporters: [] });
    const seen: string[] = [];
    const enough = log.ring.follow(({ message }) => seen.push(message));
    log.for('agent').info('one');
    enough();
    log.for('agent').info('two');
    expect(seen).toEqual(['one']);
  });
});

describe('the file', () => {
  const lines = (path: string) => readFileSync(path, 'utf8').trim().split('\n');

  test('has every line in order once it is closed', async () => {
    const path = join(dir, 'new', 'a.log');
    const reporter = fileReporter(path);
    for (let i = 0; i < 500; i++) reporter.write(entry({ message: String(i) }));
    await reporter.close();
    expect(lines(path).map((line) => line.split(' ').at(-1))).toEqual([...Array(500).keys()].map(String));
  });

  test('is made anew when it was moved away, and moved away when it is full', async () => {
    const path = join(dir, 'b.log');
    const reporter = fileReporter(path, 80);
    const say = async (message: string) => {
      reporter.write(entry({ message }));
      await reporter.flush();
    };
    await say('one');
    renameSync(path, join(dir, 'rotated'));
    await say('two');
    await say('three');
    expect(lines(path)).toHaveLength(2);
    await say('four');
    expect([lines(`${path}.1`).length, lines(path).length]).toEqual([2, 1]);
    await reporter.close();
  });

  test('that cannot be written holds nobody up, and says later how much is missing', async () => {
    const blocked = join(dir, 'blocked');
    const path = join(blocked, 'c.log');
    await Bun.write(blocked, 'a file where a folder should be');
    const reporter = fileReporter(path);
    for (let i = 0; i < 10_005; i++) reporter.write(entry({ message: String(i) }));
    await reporter.flush();
    rmSync(blocked);
    reporter.write(entry({ message: 'last' }));
    await reporter.close();
    const written = lines(path);
    expect(written[0]).toMatch(/\d+ lines were lost/);
    expect(written.length).toBeGreaterThan(9000);
  });
});
