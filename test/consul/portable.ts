/**
 * The client's outcomes over a bad connection, as a program for any runtime: portable.test.ts runs it on Deno
 * and Node. Prints one line per outcome and ends by itself, which it only does if no timer or connection is
 * left behind.
 */
import process from 'node:process';
import { createConsulClient } from '../../agent/consul/client.ts';
import { startStub } from '../fixtures/http_stub.ts';

const server = await startStub();
const { kv } = createConsulClient({ servers: [server.url], attemptMs: 20_000, deadlineMs: 20_000 });
/** What never gets an answer is given up after this. */
const SOON = { attemptMs: 1000, deadlineMs: 1000 };
const found = { status: 200, headers: { 'X-Consul-Index': '5' } };
const body = JSON.stringify([{ Key: 'k', Value: 'MQ==', CreateIndex: 1, ModifyIndex: 5 }]);
const say = (text: string): void => void process.stdout.write(`${text}\n`);

for (const answer of ['reset', 'close', 'half', 'silent', 'stuck'] as const) {
  // Two reads first, so that there is a pooled connection which a careless write would use, and send again.
  server.answer({ ...found, body });
  const reads = [(await kv.get('k')).kind, (await kv.get('k')).kind].join();
  server.answer(answer);
  const before = server.seen.length;
  const put = await kv.put('k', '2', answer === 'silent' || answer === 'stuck' ? SOON : {});
  const sent = server.seen.length - before;
  say(
    `${answer}: read ${reads}; write ${put.kind} ${put.kind === 'unknown' ? put.cause.code : ''}, sent ${sent}`,
  );
}
server.answer('silent');
const stop = new AbortController();
const standing = kv.get('k', { index: 5, waitMs: 60_000, signal: stop.signal });
stop.abort();
const cancelled = await standing;
say(`cancel: ${cancelled.kind === 'unknown' ? cancelled.cause.code : cancelled.kind}`);
server.answer({ ...found, body });
say(`after: ${(await kv.get('k')).kind}`);
await server.close();
// A refused write is tried until its deadline: nobody comes to listen here.
const refused = await kv.put('k', '3', { attemptMs: 20_000, deadlineMs: 2000 });
say(
  `refused: ${refused.kind === 'unknown' ? `${refused.cause.code} ${refused.cause.maybeApplied}` : refused.kind}`,
);
