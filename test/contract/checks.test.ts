import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import type { Check, CheckResult, NodeRole } from '../../agent/checks/port.ts';
import { postgresPort } from '../../agent/checks/postgres_port.ts';
import { postgresSelect } from '../../agent/checks/postgres_select.ts';
import { postgresWrite } from '../../agent/checks/postgres_write.ts';
import { until } from '../../agent/platform/clock.ts';
import { type PlainServer, plainServer } from '../checks/server.ts';

const LIMIT = 600;
let server: PlainServer;

beforeAll(async () => {
  server = await plainServer('127.0.0.71');
  await server.start();
}, 60_000);
afterAll(() => server.end(), 30_000);

/** Runs a check as the scheduler does: aborted at its limit. */
async function run(check: Check, ms = LIMIT): Promise<CheckResult & { ms: number }> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), ms);
  const start = performance.now();
  try {
    return { ...(await check.run({ ms, signal: abort.signal })), ms: performance.now() - start };
  } finally {
    clearTimeout(timer);
  }
}

const port = (fence: 'open' | 'closed' = 'open', target = server.target) =>
  postgresPort(target, { fence: () => fence });
const select = (target = server.target) => postgresSelect(target, () => performance.now());

describe('postgres_port and postgres_select', () => {
  test('both pass on a server that is well, in a few milliseconds, and leave no connection', async () => {
    expect(await run(port())).toMatchObject({ verdict: 'pass' });
    const { verdict, ms } = await run(select());
    expect(verdict).toBe('pass');
    expect(ms).toBeLessThan(20 * LIMIT);
    expect(await until(() => server.own().length === 0, { timeout: 30_000 })).toBe(true);
  });

  test('a stopped postmaster: the port still accepts, select fails within its limit, and both pass after it goes on', async () => {
    server.signal('SIGSTOP');
    try {
      expect(await run(port())).toMatchObject({ verdict: 'pass' });
      const { verdict, output, ms } = await run(select());
      expect([verdict, output]).toEqual(['fail', 'a fresh connection got no answer in time']);
      expect(ms).toBeLessThan(20 * LIMIT);
    } finally {
      server.signal('SIGCONT');
    }
    expect(await run(select(), 5000)).toMatchObject({ verdict: 'pass' });
  });

  test('a port that nobody listens on fails both at once', async () => {
    const nowhere = { ...server.target, port: 1 };
    expect(await run(port('open', nowhere))).toMatchObject({
      verdict: 'fail',
      output: '127.0.0.71:1 does not accept connections: ECONNREFUSED',
    });
    const { verdict, ms } = await run(select(nowhere));
    expect(verdict).toBe('fail');
    expect(ms).toBeLessThan(20 * LIMIT);
  });

  test('while fresh connections are answered, the port is knocked at every 5 s; as soon as they are not, each time', async () => {
    let now = 0;
    let answeredAt = 0;
    // Nobody listens there: a knock fails, what stands for one passes.
    let host = server.target.host;
    const target = {
      ...server.target,
      get host() {
        return host;
      },
    };
    const check = postgresPort(
      target,
      { fence: () => 'open' },
      {
        now: () => now,
        answeredAt: () => answeredAt,
        trust: 1500,
        knockEvery: 5000,
      },
    );
    expect(await run(check)).toMatchObject({ verdict: 'pass' });
    host = '127.0.0.72';
    now = answeredAt = 4900;
    expect(await run(check)).toMatchObject({ verdict: 'pass' });
    answeredAt = 3000;
    expect(await run(check)).toMatchObject({ verdict: 'fail' });
    answeredAt = now;
    expect(await run(check)).toMatchObject({ verdict: 'fail' });
    host = server.target.host;
    expect(await run(check)).toMatchObject({ verdict: 'pass' });
    host = '127.0.0.72';
    now = answeredAt = 9900;
    expect(await run(check)).toMatchObject({ verdict: 'fail' });
  });

  test('while fenced, the Unix socket stands for a port that the firewall has shut', async () => {
    // 127.0.0.72 is as good as shut: nobody listens there.
    const shut = { ...server.target, host: '127.0.0.72' };
    expect(await run(port('open', shut))).toMatchObject({ verdict: 'fail' });
    expect(await run(port('closed', shut))).toMatchObject({ verdict: 'pass' });
  });

  test('a role that the server does not know fails with its reason', async () => {
    expect(await run(select({ ...server.target, user: 'nobody_here' }))).toMatchObject({
      verdict: 'fail',
      output: 'a fresh connection failed: role "nobody_here" does not exist',
    });
  });

  test('a port that speaks something else fails: it is no PostgreSQL', async () => {
    const { createServer } = await import('node:net');
    const path = `${server.target.socketDir}/.s.PGSQL.9`;
    const other = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await new Promise<void>((done) => other.listen(path, done));
    expect(await run(select({ ...server.target, port: 9 }))).toMatchObject({
      verdict: 'fail',
      output: "a fresh connection failed: what listens on the port does not speak PostgreSQL's protocol",
    });
    other.close();
  });

  test('all connection slots taken: select warns, because the server answers and another active would fill up too', async () => {
    const slots = Number(server.sql('show max_connections'));
    const { WireSession } = await import('../../agent/checks/wire/session.ts');
    const never = new AbortController().signal;
    const taken = await Promise.all(
      Array.from({ length: slots + 5 }, () => WireSession.open(server.target, never).catch(() => null)),
    );
    try {
      expect(await run(select())).toMatchObject({ verdict: 'warn', output: 'no connection slot is left' });
    } finally {
      for (const session of taken) session?.close();
    }
    expect(await until(async () => (await run(select())).verdict === 'pass', { timeout: 30_000 })).toBe(true);
  });
});

describe('postgres_write', () => {
  let role: NodeRole = 'active';
  let now = 0;
  let check: Check;
  beforeEach(() => {
    role = 'active';
    check?.close?.();
    check = postgresWrite(server.target, { role: () => role }, () => now, 30_000);
  });
  const heartbeats = () => server.own().filter((name) => name.includes('heartbeat')).length;
  const beatAt = () => server.sql("select coalesce(max(at)::text, '') from cloudify_agent.heartbeat");

  test('it makes its table, updates one row, and keeps one connection', async () => {
    server.sql('drop schema if exists cloudify_agent cascade');
    expect(await run(check)).toMatchObject({ verdict: 'pass', output: 'a write commits' });
    const first = beatAt();
    for (let n = 0; n < 5; n++) expect(await run(check)).toMatchObject({ verdict: 'pass' });
    expect(beatAt()).not.toBe(first);
    expect(server.sql('select count(*) from cloudify_agent.heartbeat')).toBe('1');
    expect(heartbeats()).toBe(1);
  });

  test('a thousand beats later the table is still one page', async () => {
    await run(check);
    const size = () => server.sql("select pg_relation_size('cloudify_agent.heartbeat')");
    const { WireSession } = await import('../../agent/checks/wire/session.ts');
    const { beat } = await import('../../agent/checks/wire/heartbeat_row.ts');
    const session = await WireSession.open(server.target, new AbortController().signal);
    for (let n = 0; n < 1000; n++) await beat(session);
    session.close();
    expect(size()).toBe('8192');
  });

  test('it does not apply to a standby, which is never written to, and lets its connection go', async () => {
    await run(check);
    role = 'standby';
    const before = beatAt();
    expect(await run(check)).toMatchObject({ verdict: 'skip' });
    expect(beatAt()).toBe(before);
    expect(await until(() => heartbeats() === 0, { timeout: 30_000 })).toBe(true);
  });

  test('a read-only server fails it, on the kept connection and on a fresh one, until it is writable again', async () => {
    expect(await run(check)).toMatchObject({ verdict: 'pass' });
    const setReadOnly = (value: string) => {
      server.sql(`alter system set default_transaction_read_only = ${value}`);
      server.sql('select pg_reload_conf()');
    };
    setReadOnly('on');
    try {
      const failed = await until(
        async () => {
          const result = await run(check);
          return result.verdict === 'fail' ? result : undefined;
        },
        { timeout: 30_000 },
      );
      expect(failed?.output).toContain('read-only transaction');
      expect(await run(check)).toMatchObject({ verdict: 'fail' });
    } finally {
      server.sql('alter system reset default_transaction_read_only');
      server.sql('select pg_reload_conf()');
    }
    expect(await until(async () => (await run(check)).verdict === 'pass', { timeout: 30_000 })).toBe(true);
  });

  test('its connection ended by the server, the table dropped, the row deleted: it goes on by itself', async () => {
    await run(check);
    server.sql(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'cloudify-agent heartbeat'",
    );
    expect(await run(check)).toMatchObject({ verdict: 'pass' });
    server.sql('drop schema cloudify_agent cascade');
    expect(await run(check)).toMatchObject({ verdict: 'pass' });
    server.sql('delete from cloudify_agent.heartbeat');
    expect(await run(check)).toMatchObject({ verdict: 'pass' });
  });

  test('a locked row fails it in time; the hanging write is not repeated on more connections', async () => {
    await run(check);
    const { WireSession } = await import('../../agent/checks/wire/session.ts');
    const rival = await WireSession.open(server.target, new AbortController().signal);
    await rival.query('begin');
    await rival.query('select 1 from cloudify_agent.heartbeat for update');
    try {
      for (let n = 0; n < 4; n++) {
        const { verdict, ms } = await run(check);
        expect(verdict).toBe('fail');
        expect(ms).toBeLessThan(20 * LIMIT);
        expect(heartbeats()).toBeLessThanOrEqual(1);
      }
    } finally {
      rival.close();
    }
    expect(await until(async () => (await run(check)).verdict === 'pass', { timeout: 30_000 })).toBe(true);
  });

  test('a backend that hangs fails it and stays the only one, also when the check starts over', async () => {
    expect(await run(check)).toMatchObject({ verdict: 'pass' });
    const pid = Number(
      server.sql("select pid from pg_stat_activity where application_name = 'cloudify-agent heartbeat'"),
    );
    // Signalling 0 would stop this very process.
    expect(pid).toBeGreaterThan(1);
    process.kill(pid, 'SIGSTOP');
    try {
      for (let n = 0; n < 4; n++) {
        expect(await run(check)).toMatchObject({
          verdict: 'fail',
          output: 'a write has not committed in time',
        });
        // As at a change of role and back.
        check.close?.();
      }
      expect(heartbeats()).toBe(1);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    expect(await until(async () => (await run(check)).verdict === 'pass', { timeout: 30_000 })).toBe(true);
    expect(await until(() => heartbeats() === 1, { timeout: 30_000 })).toBe(true);
  });

  test('a commit that waits for a standby only warns, keeps to one connection, and fails after its own limit', async () => {
    await run(check);
    server.sql("alter system set synchronous_standby_names = 'ANY 1 (absent)'");
    server.sql('select pg_reload_conf()');
    now = 0;
    try {
      const waits = await until(
        async () => {
          const result = await run(check);
          return result.verdict === 'warn' ? result : undefined;
        },
        { timeout: 30_000 },
      );
      expect(waits?.output).toBe('committed here, waiting for a standby');
      expect(await run(check)).toMatchObject({ verdict: 'warn' });
      now = 40_000;
      expect(await run(check)).toMatchObject({
        verdict: 'fail',
        output: 'a commit has waited for a standby for more than 30 s',
      });
      expect(heartbeats()).toBe(1);
    } finally {
      server.sql('alter system reset synchronous_standby_names');
      server.sql('select pg_reload_conf()');
    }
    expect(await until(async () => (await run(check)).verdict === 'pass', { timeout: 30_000 })).toBe(true);
    expect(heartbeats()).toBe(1);
  });

  test('a table of another role is not written to: it could carry a trigger with our rights', async () => {
    server.sql(
      'drop schema if exists cloudify_agent cascade; create role mallory; create schema cloudify_agent authorization mallory',
    );
    try {
      expect(await run(check)).toMatchObject({
        verdict: 'fail',
        output: 'a write failed: cloudify_agent.heartbeat belongs to another role: drop or rename it',
      });
    } finally {
      server.sql('drop schema cloudify_agent cascade; drop role mallory');
    }
  });
});

describe('a killed postmaster', () => {
  test('fails port, select and write at once; started again, all pass without being told', async () => {
    const write = postgresWrite(server.target, { role: () => 'active' }, () => performance.now(), 30_000);
    expect(await run(write)).toMatchObject({ verdict: 'pass' });
    await server.kill();
    for (const check of [port(), select(), write]) {
      // A backend outlives its postmaster for a moment, and may finish one more write.
      const until = performance.now() + LIMIT;
      let { verdict } = await run(check);
      while (verdict !== 'fail' && performance.now() < until) ({ verdict } = await run(check));
      expect([check.name, verdict]).toEqual([check.name, 'fail']);
    }
    await server.start();
    for (const check of [port(), select(), write])
      expect(await run(check)).toMatchObject({ verdict: 'pass' });
    write.close?.();
  }, 60_000);
});
