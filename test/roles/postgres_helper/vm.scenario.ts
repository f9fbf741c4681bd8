/**
 * Runs on a VM as the agent's user: calls of the helper, given on standard input, one [method, ...arguments]
 * a line.
 */
import { readFileSync } from 'node:fs';
import process from 'node:process';
import type { Postgres } from '../../../agent/roles/postgres/port.ts';
import { createHelperClient } from '../../../agent/roles/postgres_helper/client.ts';
import { HELPER_SOCKET } from '../../../agent/roles/postgres_helper/index.ts';

const [node = '', hostIp = ''] = process.argv.slice(2);
const pg = createHelperClient({
  socketPath: HELPER_SOCKET,
  names: { node, hostIp, publicIp: null },
  say: (line) => console.error(line),
});
const signal = new AbortController().signal;

for (const line of readFileSync(0, 'utf8').trim().split('\n')) {
  const [method, ...args] = JSON.parse(line) as [keyof Postgres, ...unknown[]];
  if (method === 'basebackup' || method === 'rewind') args.push(() => {}, signal);
  const began = performance.now();
  const value = await (pg[method] as (...given: unknown[]) => Promise<unknown>)(...args);
  const ms = Math.round((performance.now() - began) * 100) / 100;
  const text = JSON.stringify({ method, ms, value }, (_, each: unknown) =>
    typeof each === 'bigint' ? String(each) : each,
  );
  console.log(text);
}
await pg.close();
process.exit(0);
