/** A start that meets a server which is about to be gone: killed, and still there for a moment. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import process from 'node:process';
import { asServerUser, createGroup, type TestGroup, type TestServer } from '../fixtures/postgres.ts';

const done = { kind: 'done' } as const;

if (asServerUser(import.meta.path)) {
  describe('a dying server', () => {
    let group: TestGroup;
    let p: TestServer;
    const pid = () => {
      const found = p.options.starter.pid();
      if (found === null) throw new Error('no server runs');
      return found;
    };

    beforeAll(async () => {
      group = createGroup('pg-dying');
      p = await group.server('p', { data: true });
      expect(await p.pg.startPrimary(30_000)).toEqual(done);
    });
    afterAll(() => group.end());

    test('killed is not the running one: the start waits for its end, and starts another, again and again', async () => {
      for (let i = 0; i < 20; i += 1) {
        process.kill(pid(), 'SIGKILL');
        expect(await p.pg.startPrimary(30_000)).toEqual(done);
      }
    });
  });
}
