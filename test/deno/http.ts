/**
 * The HTTP application, its listeners and the command line's client on this runtime:
 * `deno run -A test/deno/http.ts`. Exits 0 when all is as on Bun. The same checks in full are test/http and
 * test/cli.
 */
import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { connectAgent } from '../../agent/http/client_api.ts';
import { events } from '../../agent/http/client_events.ts';
import { createHttpServer } from '../../agent/http/server.ts';
import { createPeers } from '../../agent/peers/peers.ts';
import { processTerminal } from '../../cli/common/terminal.ts';
import { runCli } from '../../cli/run_cli.ts';
import { root } from '../../cli/tree.ts';
import { FakeAgent, logLine, NODES } from '../fakes/agent_api.ts';

const HOST = '127.0.60.2';
const PORT = 18_761;

const dir = mkdtempSync(join(tmpdir(), 'agent-deno-'));
const socketPath = join(dir, 'agent.sock');
const agent = new FakeAgent();
const options = {
  api: agent,
  manager: { edition: 'premium', version: '4.6' },
  secret: () => 's3cret',
  open: true,
};
const server = createHttpServer(options);
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'fulfilled',
    (error: { code: string }) => error.code,
  );

try {
  await server.listenSocket(socketPath);
  await server.listenTcp(HOST, PORT);
  assert.equal(statSync(socketPath).mode & 0o777, 0o660);
  assert.equal(await codeOf(createHttpServer(options).listenSocket(socketPath)), 'address_in_use');
  assert.equal(await codeOf(createHttpServer(options).listenTcp(HOST, PORT)), 'address_in_use');

  const client = connectAgent({ target: { socketPath } });
  assert.deepEqual(await client.nodes(), NODES);
  await client.pause(1500);
  const stranger = connectAgent({ target: { host: HOST, port: PORT } });
  assert.equal(await codeOf(stranger.resume()), 'unauthorized');
  assert.equal(await codeOf(stranger.node('m9')), 'not_found');
  assert.deepEqual(agent.asked, [['pause', 1500]]);
  assert.equal((await fetch(`http://${HOST}:${PORT}/health/active`, { method: 'HEAD' })).status, 200);

  const peers = createPeers(
    () => ({ host: HOST, port: PORT }),
    () => 's3cret',
  );
  const reply = await peers.vote('m2', { index: 7, candidate: 'm1' }, 2000);
  assert.equal(reply.kind === 'vote' && reply.vote.lsn, 0x1_0000_0000_0000_0001n);

  const abort = new AbortController();
  const stream = events(client.http, '/api/v1/logs?follow=1', abort.signal);
  await stream.next();
  agent.log(logLine({ message: 'new' }));
  assert.match((await stream.next()).value?.data ?? '', /"new"/);
  abort.abort();
  assert.equal((await stream.next()).done, true);

  const terminal = processTerminal();
  assert.equal(await runCli(root, ['cluster', 'nodes', 'list', '--socket', socketPath], terminal), 0);
  assert.equal(await runCli(root, ['cluster', 'nodes', 'list', '--wach'], terminal), 2);
} finally {
  await server.close();
  rmSync(dir, { recursive: true });
}
assert.equal(await codeOf(connectAgent({ target: { socketPath } }).status()), 'agent_not_running');
process.stdout.write('the HTTP application, its sockets and its client work\n');
