/**
 * Bare connections to the agent's port are bounded by the kernel, per address and in all: over our real
 * rules, in namespaces.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { eventually } from '../fixtures/postgres.ts';
import { PATIENCE, type Running, World } from './namespaces.ts';

const works = (...command: string[]) => spawnSync(command[0] ?? '', command.slice(1)).status === 0;
const able = process.getuid?.() === 0 && works('unshare', '-n', 'ipset', 'list');

const LISTEN = `require('node:net').createServer((c) => c.on('error', () => {}).resume()).listen({ port: 8700, host: '::', backlog: 4096 }, () => console.log('listens'))`;
/** Opens connections that say nothing, and tells how many of them there are once each was answered. */
const OPEN = `
const [host, from, count] = process.argv.slice(1);
let [up, refused] = [0, 0];
for (let i = 0; i < Number(count); i += 1) {
  const socket = require('node:net').connect({ host, port: 8700, localAddress: from });
  const told = () => { if (up + refused === Number(count)) console.log('up ' + up); };
  socket.once('connect', () => { up += 1; told(); });
  socket.once('error', () => { refused += 1; told(); });
}
setInterval(() => {}, 1000);
`;

describe.skipIf(!able)('connections to the API that say nothing', () => {
  let world: World;
  beforeAll(async () => {
    world = new World();
    await world.prepare();
    const server = world.start(world.inside('server', process.execPath, '-e', LISTEN));
    await eventually('the port is open', PATIENCE, () => server.said().includes('listens'));
    for (let i = 0; i < 20; i += 1)
      world.run(world.inside('client', 'ip', 'address', 'add', `10.9.0.${100 + i}/24`, 'dev', 'up'));
    world.run(world.inside('client', 'ip', 'address', 'add', 'fd09:0::3/64', 'dev', 'up', 'nodad'));
  }, 3 * PATIENCE);
  afterAll(() => world?.end());

  async function opened(where: 'client' | 'member' | 'server', host: string, from: string, count: number) {
    const child = world.start(
      world.inside(where, process.execPath, '-e', OPEN, '--', host, from, String(count)),
    );
    await eventually('each was answered', PATIENCE, () => {
      if (child.ended()) throw new Error(child.said());
      return child.said().includes('up ');
    });
    return { child, up: Number(/up (\d+)/.exec(child.said())?.[1]) };
  }

  test(
    'are 64 of one address, 64 of one v6 network, and 1,024 of all; members and the machine itself have no bound',
    async () => {
      const held: Running[] = [];
      const of = async (...asked: Parameters<typeof opened>): Promise<number> => {
        const { child, up } = await opened(...asked);
        held.push(child);
        return up;
      };
      expect(await of('client', '10.9.0.1', '10.9.0.2', 100)).toBe(64);
      expect(await of('client', 'fd09:0::1', 'fd09:0::2', 100)).toBe(64);
      expect(await of('client', 'fd09:0::1', 'fd09:0::3', 10)).toBe(0);
      expect(await of('client', '10.9.0.1', '10.9.0.100', 10)).toBe(10);
      let strangers = 64 + 10;
      for (let i = 1; i < 20; i += 1) strangers += await of('client', '10.9.0.1', `10.9.0.${100 + i}`, 64);
      expect(strangers).toBe(1024);
      expect(await of('member', '10.9.1.1', '10.9.1.2', 100)).toBe(100);
      expect(await of('server', '127.0.0.1', '127.0.0.1', 100)).toBe(100);
      for (const { child } of held) child.kill();
      await eventually('there is room again', PATIENCE, async () => {
        const { child, up } = await opened('client', '10.9.0.1', '10.9.0.2', 10);
        child.child.kill();
        return up === 10;
      });
    },
    6 * PATIENCE,
  );
});
