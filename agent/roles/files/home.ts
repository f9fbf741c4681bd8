/**
 * Syncthing's home folder and what the agent itself remembers: identity, members, and whether this node led
 * last.
 */

import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import type { NodeConfig } from '../../config/index.ts';
import { AgentError } from '../../errors.ts';
import {
  GROUP_READABLE,
  makeDir,
  PRIVATE,
  readJson,
  removeDurably,
  writeDurably,
  writeJson,
} from '../../platform/files.ts';
import { agentFiles, syncthingBinary } from '../../platform/paths.ts';
import { runOk } from '../../platform/process.ts';
import { renderConfig } from './config_xml.ts';
import { DEVICE_ID, deviceIdOf } from './device_id.ts';
import { makeRestCertificate } from './rest_certificate.ts';
import { settingsOf } from './settings.ts';

const memorySchema = v.object({
  schema: v.literal(1),
  /** Secret: opens Syncthing's REST API, and with it every file. */
  apiKey: v.string(),
  /**
   * By which its REST listener is known; none while Syncthing was last started by a version that asked it
   * over plain HTTP.
   */
  restCa: v.optional(v.string()),
  members: v.array(
    v.object({ node: v.string(), deviceId: v.pipe(v.string(), v.regex(DEVICE_ID)), address: v.string() }),
  ),
  /** Was this node send-only? What it has and the others lack is then archived before it follows anybody. */
  led: v.boolean(),
  /** Has it been complete as a follower, so that a copy without connection still counts as one? */
  synced: v.boolean(),
});
export type Memory = v.InferOutput<typeof memorySchema>;

export type Home = {
  readonly memory: Readonly<Memory>;
  remember(change: Partial<Memory>): void;
  deviceId(): Promise<string>;
  /** The configuration of the next start: receive-only, cut off. */
  writeConfig(): Promise<void>;
  /**
   * Syncthing is stopped. Its index belongs to its own user and may stay (aside); without identity and
   * members it means nothing.
   */
  wipe(): void;
};

export function openHome(config: NodeConfig): Home {
  const dir = config.files.home_dir;
  const path = agentFiles(config).state('syncthing');
  const certificate = join(dir, 'cert.pem');
  const hasIdentity = () => existsSync(certificate) && existsSync(join(dir, 'key.pem'));
  let memory: Memory | undefined;
  const recall = (): Memory => {
    memory ??= readJson(path, memorySchema) ?? {
      schema: 1,
      apiKey: randomBytes(24).toString('base64url'),
      members: [],
      led: false,
      synced: false,
    };
    return memory;
  };
  const remember = (change: Partial<Memory>): void => {
    const next = { ...recall(), ...change };
    if (existsSync(path) && JSON.stringify(next) === JSON.stringify(memory)) return;
    makeDir(config.paths.state_dir);
    writeJson(path, next, PRIVATE);
    memory = next;
  };

  /**
   * `syncthing generate` in a folder of the agent's own, so that half an identity is never taken for one. Not
   * in the home: its other user could lay a link in that folder's place, and what it leads to would be moved,
   * or opened to him.
   */
  async function generate(): Promise<void> {
    const binary = syncthingBinary(config);
    if (binary === undefined) throw missing();
    makeDir(dir, 0o770);
    makeDir(config.paths.state_dir);
    const beside = await mkdtemp(join(config.paths.state_dir, 'generate-'));
    try {
      await runOk(binary, ['generate', `--home=${beside}`, '--no-default-folder'], { deadline: 30_000 });
      // Syncthing's own user reads them by the folder's group.
      for (const name of ['key.pem', 'cert.pem'])
        writeDurably(join(dir, name), readFileSync(join(beside, name)), GROUP_READABLE);
    } finally {
      rmSync(beside, { recursive: true, force: true });
    }
  }

  const home: Home = {
    get memory() {
      return recall();
    },
    remember,
    async deviceId() {
      if (!hasIdentity()) await generate();
      return deviceIdOf(readFileSync(certificate, 'utf8'));
    },
    async writeConfig() {
      const own = await home.deviceId();
      const rest = await makeRestCertificate(config.files.rest_address);
      // Before what it is to be known by: who dies in between has started nothing yet.
      remember({ restCa: rest.ca });
      writeDurably(join(dir, 'https-key.pem'), rest.key, GROUP_READABLE);
      writeDurably(join(dir, 'https-cert.pem'), rest.certificate, GROUP_READABLE);
      const { apiKey, members } = recall();
      const settings = settingsOf({ config, own, members, stance: { kind: 'apart' }, deletions: false });
      writeDurably(join(dir, 'config.xml'), renderConfig(config, settings, apiKey), GROUP_READABLE);
    },
    wipe() {
      for (const name of existsSync(dir) ? readdirSync(dir) : []) discard(dir, name);
      removeDurably(path);
      memory = undefined;
    },
  };
  return home;
}

function discard(dir: string, name: string): void {
  try {
    rmSync(join(dir, name), { recursive: true, force: true });
  } catch {
    if (!name.startsWith('discarded-'))
      renameSync(join(dir, name), join(dir, `discarded-${Date.now()}-${name}`));
  }
}

export function missing(): AgentError {
  return new AgentError({
    class: 'operator',
    code: 'syncthing_missing',
    message: 'there is no syncthing executable',
    hint: 'install Syncthing 1.19 or later, or set files.binary',
  });
}
