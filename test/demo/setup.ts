import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';

export const root = join(import.meta.dirname, '..', '..');
export const executable = join(root, 'dist', 'agent');

/** Makes dist/agent. Rejects with what the build said. */
export async function buildExecutable(): Promise<void> {
  const child = spawn(process.execPath, ['build.ts'], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Uint8Array) => {
      said += chunk.toString();
    });
  }
  const code = await new Promise((resolve) => child.once('exit', resolve));
  if (code !== 0) throw new Error(`the build failed:\n${said}`);
}

function isFree(host: string, port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

/** The first of these addresses from which on three managers find their ports free: another dev cluster may be running. */
export async function freeAddress(
  candidates = ['127.0.0.11', '127.0.0.111', '127.0.0.121'],
): Promise<string> {
  for (const first of candidates) {
    const last = Number(first.split('.')[3]);
    const hosts = [0, 1, 2].map((index) => `127.0.0.${last + index}`);
    const free = await Promise.all(
      hosts.flatMap((host) => [5432, 8500, 8700].map((port) => isFree(host, port))),
    );
    if (free.every(Boolean)) return first;
  }
  throw new Error(`no free loopback addresses among ${candidates.join(', ')}: end what runs there first`);
}
