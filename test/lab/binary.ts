/** The executable under test, built from the checkout as it is. */
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { must } from './host.ts';
import type { Lab } from './lab.ts';
import type { Machine } from './machine.ts';

const root = dirname(dirname(import.meta.dirname));
export const AGENT = '/opt/cloudify/agent';

/**
 * Builds into the lab's own folder, so that builds of others do not matter. AGENT_BINARY names a ready one
 * instead.
 */
export async function buildAgent(lab: Lab): Promise<string> {
  const ready = process.env.AGENT_BINARY;
  if (ready) return ready;
  const outdir = join(lab.paths.dir, 'dist');
  mkdirSync(outdir, { recursive: true });
  await must([process.execPath, join(root, 'build.ts'), '--outdir', outdir], 120_000);
  return join(outdir, 'agent');
}

/**
 * What an operator does: copies the one file to the machine, writes agent.yaml, and calls `agent install`.
 */
export async function installAgent(vm: Machine, binary: string, yaml: string): Promise<string> {
  await vm.copyIn(binary, AGENT);
  await vm.writeFile('/etc/cloudify/agent.yaml', yaml);
  return vm.must([AGENT, 'install'], { timeout: 120_000 });
}
