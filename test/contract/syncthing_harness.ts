/** Real Syncthings on loopback addresses of their own, each with the files role that runs it. */

import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import {
  type ConfigInput,
  folderConfig,
  makeConfig,
  type NodeConfig,
  requireNode,
} from '../../agent/config/index.ts';
import { until } from '../../agent/platform/clock.ts';
import { which } from '../../agent/platform/paths.ts';
import { createFilesRole, syncthingUnit } from '../../agent/roles/files/index.ts';
import type { FileMember, Files } from '../../agent/roles/files/port.ts';
import { createRest, type Rest } from '../../agent/roles/files/rest.ts';
import { childDriver } from '../../agent/roles/services/child.ts';
import type { ServiceDriver } from '../../agent/roles/services/driver.ts';
import { testLog } from '../fixtures/log.ts';

// A start takes a second less without its own measurement of which hash is fastest.
process.env.STHASHING ??= 'standard';

export const hasSyncthing = which('syncthing') !== undefined;

export interface Node {
  readonly name: string;
  readonly config: NodeConfig;
  readonly driver: ServiceDriver;
  readonly files: Files;
  /** The replicated folder. */
  readonly data: string;
  readonly diverged: string;
  log(): string;
  /** A second role on the same node, as after a restart of the agent; Syncthing goes on. */
  restartAgent(): Promise<void>;
  /** SIGKILL to Syncthing. */
  kill(): Promise<void>;
  rest(): Rest;
  member(): Promise<FileMember>;
}

export async function startNodes(
  addresses: readonly string[],
  over: ConfigInput['files'] = {},
): Promise<{ nodes: Node[]; dir: string; stop(): Promise<void> }> {
  const dir = mkdtempSync(join(tmpdir(), 'files-'));
  const nodes = addresses.map((address, index) => node(dir, `n${index + 1}`, address, over));
  await introduce(nodes);
  for (const one of nodes) await one.files.start();
  const stop = async (): Promise<void> => {
    for (const one of nodes) {
      await one.files.stop().catch(() => {});
      await one.files.close();
      await one.driver.close();
    }
    rmSync(dir, { recursive: true, force: true });
  };
  return { nodes, dir, stop };
}

/** Everybody learns of everybody, as at a join. */
export async function introduce(nodes: readonly Node[]): Promise<void> {
  const all = await Promise.all(nodes.map((one) => one.member()));
  for (const one of nodes) await one.files.setMembers(all.filter((other) => other.node !== one.name));
}

function node(base: string, name: string, address: string, over: ConfigInput['files']): Node {
  const dir = join(base, name);
  const data = join(dir, 'data');
  mkdirSync(data, { recursive: true });
  const config = requireNode(
    makeConfig(
      folderConfig(
        dir,
        { node_name: name, host_ip: address },
        {
          files: { enabled: true, folders: [{ id: 'data', path: data, ignore: ['*.skip'] }], ...over },
        },
      ),
    ),
  );
  const log = testLog();
  const driver = childDriver({ runDir: join(dir, 'run'), logDir: join(dir, 'log') });
  const make = () => createFilesRole(config, driver, { log: log.for('handler-runner'), epoch: () => 7 });
  let files = make();
  return {
    name,
    config,
    driver,
    get files() {
      return files;
    },
    data,
    diverged: config.paths.diverged_dir,
    log: () => log.messages().join('\n'),
    async restartAgent() {
      await files.close();
      files = make();
      await files.start();
    },
    async kill() {
      const { pid } = await driver.status(syncthingUnit(config));
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
    },
    rest() {
      const state = JSON.parse(readFileSync(join(config.paths.state_dir, 'syncthing.json'), 'utf8')) as {
        apiKey: string;
        restCa: string;
      };
      const access = { apiKey: state.apiKey, ca: state.restCa };
      return createRest(`${address}:${config.files.rest_port}`, () => access);
    },
    async member() {
      return { node: name, deviceId: await files.deviceId(), address };
    },
  };
}

/** Polls until it is so; 30 s at most. */
export const eventually = async (
  condition: () => boolean | Promise<boolean>,
  timeout = 75_000,
): Promise<boolean> => (await until(condition, { timeout, every: 50 })) === true;

/** The names of the visible content, sorted. */
export const list = (dir: string): string[] =>
  readdirSync(dir, { recursive: true })
    .map(String)
    .filter((name) => !name.startsWith('.st'))
    .sort();

export const text = (...path: string[]): string | null => {
  const file = join(...path);
  return existsSync(file) ? readFileSync(file, 'utf8') : null;
};

export type Manifest = {
  reason: string;
  files: { path: string; state: string; sha256?: string; target?: string }[];
};

export const manifests = (dir: string): (Manifest & { dir: string })[] =>
  (existsSync(dir) ? readdirSync(dir) : [])
    .filter((name) => !name.endsWith('.partial'))
    .map((name) => ({
      dir: join(dir, name),
      ...(JSON.parse(readFileSync(join(dir, name, 'manifest.json'), 'utf8')) as Manifest),
    }));
