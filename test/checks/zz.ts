import { postgresPort } from '../../agent/checks/postgres_port.ts';
import { Session } from '../../agent/checks/wire/session.ts';
import { sleep } from '../../agent/platform/clock.ts';
import { plainServer } from './server.ts';

const server = await plainServer('127.0.0.71');
await server.start();
const sig = new AbortController().signal;
const port = postgresPort(server.target, { fence: () => 'open' });

import { createConnection } from 'node:net';
import { query, startup, terminate } from '../../agent/checks/wire/messages.ts';

const path = `${server.target.socketDir}/.s.PGSQL.${server.target.port}`;
const pre = Buffer.concat([
  startup({ user: 'postgres', database: 'postgres', application_name: 'x', search_path: 'pg_catalog' }),
  query('select 1'),
  terminate,
]);
const bare = () =>
  new Promise<void>((res) => {
    const s = createConnection({ path });
    s.on('data', (d) => {
      if (d.includes('SELECT 1')) {
        s.destroy();
      }
    });
    s.on('close', () => res());
    s.on('error', () => {});
    s.write(pre);
  });
const justconnect = () =>
  new Promise<void>((res) => {
    const s = createConnection({ path });
    s.on('connect', () => {
      s.destroy();
    });
    s.on('close', () => res());
    s.on('error', () => {});
  });
const buf = new Uint8Array(4096);
const onread = () =>
  new Promise<void>((res) => {
    const s = createConnection({
      path,
      onread: {
        buffer: buf,
        callback: (n: number, b: Uint8Array) => {
          if (Buffer.from(b.buffer, 0, n).includes('SELECT 1')) s.destroy();
          return true;
        },
      },
    } as any);
    s.on('close', () => res());
    s.on('error', () => {});
    s.write(pre);
  });
const fns: Record<string, () => Promise<unknown>> = {
  select: () => Session.once(server.target, 'select 1', new AbortController().signal),
  bare,
  onread,
  justconnect,
  port: () => port.run({ ms: 750, signal: new AbortController().signal }),
  nothing: async () => {},
};
async function m(what: string, n: number, gap: number, f: () => Promise<unknown>) {
  const b = process.cpuUsage();
  const t = performance.now();
  for (let i = 0; i < n; i++) {
    await f();
    if (gap) await sleep(gap);
  }
  const a = process.cpuUsage(b);
  console.log(
    what.padEnd(12),
    'gap',
    gap,
    'user',
    (a.user / 1000 / n).toFixed(3),
    'sys',
    (a.system / 1000 / n).toFixed(3),
    'sum',
    ((a.user + a.system) / 1000 / n).toFixed(3),
    'wall',
    ((performance.now() - t) / n).toFixed(1),
  );
}

import { readdirSync, readFileSync } from 'node:fs';

const threads = () =>
  Object.fromEntries(
    readdirSync('/proc/self/task').map((t) => [
      t,
      [
        readFileSync(`/proc/self/task/${t}/comm`, 'utf8').trim(),
        Number(readFileSync(`/proc/self/task/${t}/schedstat`, 'utf8').split(' ')[0]) / 1e6,
      ],
    ]),
  );
for (const [k, n, gap] of [
  ['nothing', 30, 1000],
  ['select', 500, 0],
  ['select', 40, 1000],
] as any) {
  const b = threads();
  await m(k, n, gap, fns[k]!);
  const a = threads();
  console.log(
    Object.entries(a)
      .map(([t, [c, v]]: any) => [c, ((v - ((b[t] as any)?.[1] ?? 0)) / n).toFixed(3)])
      .filter((x) => Number(x[1]) > 0.005)
      .map((x) => x.join(':'))
      .join(' '),
  );
}
await server.end();
process.exit(0);
