/** Syncthing is down, and somebody else has its REST port: the key to every file never reaches him. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createCa } from '../../agent/platform/tls/ca.ts';
import { syncthingUnit } from '../../agent/roles/files/index.ts';
import { makeRestCertificate } from '../../agent/roles/files/rest_certificate.ts';
import { nodeTls } from '../fixtures/certificates.ts';
import { impostor, type Shown } from '../fixtures/impostor.ts';
import { eventually, hasSyncthing, type Node, startNodes } from './syncthing_harness.ts';

setDefaultTimeout(180_000);
const when = test.skipIf(!hasSyncthing);
const IP = '127.0.57.1';
const MS = 5_000;

let node: Node;
let stop: () => Promise<void>;
beforeAll(async () => {
  if (!hasSyncthing) return;
  const started = await startNodes([IP]);
  stop = started.stop;
  node = started.nodes[0] as Node;
});
afterAll(() => stop?.());

const statePath = () => join(node.config.paths.state_dir, 'syncthing.json');
const state = () =>
  JSON.parse(readFileSync(statePath(), 'utf8')) as { apiKey: string; restCa?: string } & object;
const inHome = (name: string) => join(node.config.files.home_dir, name);
const port = () => node.config.files.rest_port;
const answers = () =>
  node
    .rest()
    .get('system/ping', MS)
    .then(() => true)
    .catch(() => false);
const pid = async () => (await node.driver.status(syncthingUnit(node.config))).pid;

async function strangers(): Promise<[string, Shown | undefined][]> {
  const { certificate, key } = await makeRestCertificate(IP);
  return [
    ['plain HTTP', undefined],
    ['an authority of his own', await nodeTls(await createCa('other'), 'n1', IP)],
    ['a certificate made as ours is', { cert: certificate, key }],
  ];
}

when('it answers over TLS to the agent that started it', async () => {
  expect(await answers()).toBe(true);
  await node.restartAgent();
  expect(node.files.status().silent).toBeNull();
});

when('whoever has its port while it is down never hears the key, whatever he shows', async () => {
  await node.files.stop();
  const { apiKey } = state();
  for (const [who, shown] of await strangers()) {
    const there = await impostor(IP, port(), shown);
    expect([who, await answers()]).toEqual([who, false]);
    const put = node.rest().send('PUT', 'config', MS, {});
    expect(await put.catch(({ code }) => code)).toBe('syncthing_silent');
    await there.close();
    expect([who, there.connections > 0, there.heard.includes(apiKey)]).toEqual([who, true, false]);
    expect(there.heard.toLowerCase()).not.toContain('x-api-key');
  }
});

when('an agent that starts beside him does not tell him either, and goes on when he is gone', async () => {
  const shown = await nodeTls(await createCa('other'), 'n1', IP);
  const there = await impostor(IP, port(), shown);
  await node.restartAgent();
  const { connections, heard } = there;
  await there.close();
  expect([connections > 0, heard]).toEqual([true, '']);
  expect(await eventually(answers)).toBe(true);
});

when('the listener of this test does hear the key when he has the very certificate', async () => {
  await node.files.stop();
  const shown = {
    cert: readFileSync(inHome('https-cert.pem'), 'utf8'),
    key: readFileSync(inHome('https-key.pem'), 'utf8'),
  };
  const there = await impostor(IP, port(), shown);
  await answers();
  await there.close();
  expect(there.heard).toContain(state().apiKey);
});

when('one that runs without TLS since before the upgrade is started anew, and is told nothing', async () => {
  const xml = readFileSync(inHome('config.xml'), 'utf8');
  writeFileSync(inHome('config.xml'), xml.replace('tls="true"', 'tls="false"'));
  const { restCa: _made, ...before } = state();
  writeFileSync(statePath(), JSON.stringify(before));
  await node.driver.start(syncthingUnit(node.config));
  const plain = () =>
    fetch(`http://${IP}:${port()}/`, { redirect: 'manual' })
      .then(({ status }) => status === 401)
      .catch(() => false);
  expect(await eventually(plain)).toBe(true);
  const old = await pid();
  await node.restartAgent();
  expect(await eventually(answers)).toBe(true);
  expect((await pid()) === old).toBe(false);
  expect(state().apiKey).toBe(before.apiKey);
});
