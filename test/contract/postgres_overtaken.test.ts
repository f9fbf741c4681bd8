/**
 * Stops that come while a start is under way, on real servers: 'stopped' is never said of one that comes up
 * after it.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createPostgres, type Starter } from '../../agent/roles/postgres/index.ts';
import { serverProcesses } from '../../agent/roles/postgres/process.ts';
import {
  asServerUser,
  createGroup,
  directStarter,
  eventually,
  type TestGroup,
  type TestServer,
} from '../fixtures/postgres.ts';

const done = { kind: 'done' } as const;
const overtaken = { kind: 'failed', why: expect.stringContaining('stop was requested') };
const stopped = { kind: 'stopped' };

/**
 * Starts are filed at once and have a process when the test says so, as with a service manager that is slow.
 */
class SlowStarter {
  readonly #own: Starter;
  #job: { command: string[]; begun(): void } | null = null;
  /** Jobs are carried out when they are filed. */
  open = false;
  revocations = 0;
  filed = 0;

  constructor(logFile: string) {
    this.#own = directStarter(logFile);
  }
  async carryOut(): Promise<void> {
    const job = this.#job;
    this.#job = null;
    if (job === null) return;
    await this.#own.start(job.command);
    job.begun();
  }
  /** Nothing but its own process is known to it: a start is over when that is there. */
  readonly plain: Starter = {
    start: async (command) => {
      this.filed++;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#job = { command, begun: resolve };
      if (this.open) await this.carryOut();
      await promise;
    },
    pid: () => this.#own.pid(),
    kill: (signal) => this.#own.kill(signal),
    onExit: (callback) => this.#own.onExit(callback),
  };
  /** The job stays when who filed it goes away; it can be taken back. */
  readonly service: Starter = {
    ...this.plain,
    start: async (command) => {
      void this.plain.start(command);
      if (!this.open) throw new Error('the service manager did not answer');
      await eventually('its process', 30_000, () => this.#own.pid() !== null);
    },
    revoke: async () => {
      this.revocations++;
      this.#job = null;
    },
  };
}

if (asServerUser(import.meta.path)) {
  let group: TestGroup;
  beforeAll(() => {
    group = createGroup('pg-overtaken');
  });
  afterAll(() => group.end());

  const running = (s: TestServer) => serverProcesses(s.options.dataDir).length;
  const signalFile = (s: TestServer) => existsSync(join(s.options.dataDir, 'standby.signal'));

  describe('a start that is filed and has no process', () => {
    let slow: SlowStarter;
    let a: TestServer;
    beforeAll(async () => {
      slow = new SlowStarter(join(group.dir, 'slow.log'));
      a = await group.server('slow', { data: true, starter: slow.plain });
    });
    const filed = (count: number) => eventually('it is filed', 30_000, () => slow.filed === count);

    test('is waited for by a stop, which ends its server and puts the signal file in last', async () => {
      const start = a.pg.startPrimary(5000);
      await filed(1);
      expect(signalFile(a)).toBe(false);
      let said = false;
      const stop = a.pg.stop('fast', 5000, true).finally(() => {
        said = true;
      });
      expect((await a.pg.facts(300)).process).toBe('unknown');
      expect(said).toBe(false);
      await slow.carryOut();
      expect(await stop).toMatchObject(stopped);
      expect([running(a), signalFile(a)]).toEqual([0, true]);
      expect(await start).toMatchObject(overtaken);
      expect([running(a), signalFile(a)]).toEqual([0, true]);
    });

    test('for longer than the stop has makes it unconfirmed, and its server is ended when it comes', async () => {
      const start = a.pg.startPrimary(5000);
      await filed(2);
      expect(await a.pg.stop('fast', 50, true)).toMatchObject({
        kind: 'failed',
        why: expect.stringContaining('start is under way'),
      });
      await slow.carryOut();
      expect(await start).toMatchObject(overtaken);
      expect(running(a)).toBe(0);
      expect(await a.pg.stop('fast', 1000, true)).toMatchObject(stopped);
    });

    test('is waited for by a wipe, which leaves nothing of it', async () => {
      const start = a.pg.startStandby(5000);
      await filed(3);
      let said = false;
      const wipe = a.pg.wipe().finally(() => {
        said = true;
      });
      await new Promise((go) => setTimeout(go, 100));
      expect([said, (await a.pg.inspect()).empty]).toEqual([false, false]);
      await slow.carryOut();
      expect(await wipe).toEqual(done);
      expect(await start).toMatchObject({ kind: 'failed' });
      expect(running(a)).toBe(0);
      expect(await a.pg.inspect()).toMatchObject({ empty: true });
      expect(existsSync(join(a.options.confDir, 'cluster.conf'))).toBe(false);
    });
  });

  describe('a start that only the service manager knows of', () => {
    let slow: SlowStarter;
    let a: TestServer;
    beforeAll(async () => {
      slow = new SlowStarter(join(group.dir, 'service.log'));
      a = await group.server('service', { data: true, starter: slow.service });
    });

    test('is taken back by the stop of a driver that never heard of it', async () => {
      expect(await a.pg.startPrimary(5000)).toMatchObject({ kind: 'failed' });
      const later = createPostgres(a.options);
      expect(await later.stop('fast', 1000, true)).toMatchObject(stopped);
      await slow.carryOut();
      expect([running(a), slow.revocations]).toEqual([0, 1]);
      await later.close();
    });

    test('makes a stop unconfirmed when it cannot be taken back', async () => {
      const revoke = async () => {
        throw new Error('systemd says nothing');
      };
      const deaf = createPostgres({ ...a.options, starter: { ...slow.service, revoke } });
      expect(await deaf.stop('fast', 1000, true)).toMatchObject({
        kind: 'failed',
        why: expect.stringContaining('systemd says nothing'),
      });
      expect(await deaf.wipe()).toMatchObject({ kind: 'failed' });
      expect(await deaf.inspect()).toMatchObject({ empty: false });
      await deaf.close();
    });

    test('is not asked for when a server runs: its stop costs what it did', async () => {
      slow.open = true;
      expect(await a.pg.startPrimary(20_000)).toEqual(done);
      const before = slow.revocations;
      const began = performance.now();
      expect(await a.pg.stop('fast', 5000, true)).toMatchObject({ ...stopped, clean: true });
      console.log(`stop ${(performance.now() - began).toFixed(0)} ms`);
      expect(slow.revocations).toBe(before);
    });
  });

  describe('starts and stops beside each other', () => {
    let a: TestServer;
    beforeAll(async () => {
      a = await group.server('both', { data: true });
    });

    test('whenever a stop comes, nothing runs once it is confirmed, nor when the start has ended', async () => {
      for (let delay = 0; delay <= 150; delay += 10) {
        const start = delay % 20 === 0 ? a.pg.startPrimary(5000) : a.pg.startStandby(5000);
        await new Promise((go) => setTimeout(go, delay));
        expect(await a.pg.stop('fast', 5000, true)).toMatchObject(stopped);
        expect([delay, running(a), signalFile(a)]).toEqual([delay, 0, true]);
        await start;
        expect([delay, running(a), signalFile(a)]).toEqual([delay, 0, true]);
      }
    });

    test('a start that is asked for during a stop comes after it, in its own role', async () => {
      expect(await a.pg.startStandby(20_000)).toEqual(done);
      const stop = a.pg.stop('fast', 5000, true);
      const start = a.pg.startPrimary(5000);
      expect(await stop).toMatchObject(stopped);
      expect(await start).toEqual(done);
      expect(await a.pg.facts(10_000)).toMatchObject({ role: 'primary', standbySignal: false });
      expect(await a.pg.stop('fast', 5000, false)).toMatchObject({ ...stopped, clean: true });
    });
  });
}
