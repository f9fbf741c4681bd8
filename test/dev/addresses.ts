import { createServer } from 'node:net';
import { PORTS } from '../../cli/dev/layout.ts';

const NEEDED = [PORTS.postgres, PORTS.consul, PORTS.api, 8300, 8301];

function isFree(host: string, port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

/**
 * The first loopback address, from `from` on in steps of ten, where `count` managers find their ports free:
 * another dev cluster may be running, somebody's own or a test's.
 */
export async function freeAddress(from = 21, count = 3): Promise<string> {
  for (let last = from; last + count < 255; last += 10) {
    const hosts = Array.from({ length: count }, (_, index) => `127.0.0.${last + index}`);
    const free = await Promise.all(hosts.flatMap((host) => NEEDED.map((port) => isFree(host, port))));
    if (free.every(Boolean)) return `127.0.0.${last}`;
  }
  throw new Error('no free loopback addresses: end some of the clusters that run on this machine');
}
