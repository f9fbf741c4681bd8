import { spawn } from 'node:child_process';
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
