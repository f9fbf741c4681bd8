import { expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { folderConfig, makeConfig, requireNode } from '../../../agent/config/index.ts';
import { renderConfig } from '../../../agent/roles/files/config_xml.ts';
import { DEVICE_ID, deviceIdOf } from '../../../agent/roles/files/device_id.ts';
import { type FolderSeen, factsOf, type Judged } from '../../../agent/roles/files/facts.ts';
import { type Gathering, gather, isMass } from '../../../agent/roles/files/guard.ts';
import { type Stance, settingsOf } from '../../../agent/roles/files/settings.ts';
import { hasSyncthing } from '../../contract/syncthing_harness.ts';

const config = requireNode(
  makeConfig(
    folderConfig(
      '/srv/n1',
      { node_name: 'n1', host_ip: '10.0.0.1' },
      {
        api: { tls: true },
        files: { enabled: true, folders: [{ id: 'etc', path: "/srv/a & 'b'" }] },
      },
    ),
  ),
);
const members = [
  { node: 'n2', deviceId: 'TWO', address: '10.0.0.2' },
  { node: 'n3', deviceId: 'THREE', address: 'fd77::3' },
];
const settings = (stance: Stance, deletions = false) =>
  settingsOf({ config, own: 'ONE', members, stance, deletions });

test.skipIf(!hasSyncthing)('the device id is the one Syncthing itself derives from the certificate', () => {
  for (let n = 0; n < 5; n++) {
    const dir = mkdtempSync(join(tmpdir(), 'device-'));
    spawnSync('syncthing', ['generate', `--home=${dir}`, '--no-default-folder']);
    const { stdout } = spawnSync('syncthing', ['serve', `--home=${dir}`, '--device-id'], {
      encoding: 'utf8',
    });
    const id = deviceIdOf(readFileSync(join(dir, 'cert.pem'), 'utf8'));
    rmSync(dir, { recursive: true });
    expect(id).toMatch(DEVICE_ID);
    expect(id).toBe(stdout.trim());
  }
});

test('apart: shared with all, connected to none, receive-only', () => {
  const { devices, folders } = settings({ kind: 'apart' });
  expect(devices.map(({ name, paused }) => `${name} ${paused}`)).toEqual(['n1 false', 'n2 true', 'n3 true']);
  expect(folders).toMatchObject([{ type: 'receiveonly', ignoreDelete: true }]);
  expect(folders[0]?.devices).toHaveLength(3);
});

test('leading: send-only, connected to all; an IPv6 address is bracketed', () => {
  const { devices, folders } = settings({ kind: 'leading' });
  expect(devices.every(({ paused }) => !paused)).toBe(true);
  expect(devices[2]?.addresses).toEqual(['tcp://[fd77::3]:22000']);
  expect(folders[0]?.type).toBe('sendonly');
});

test('following: the one that is followed has a say, and nobody else', () => {
  const { devices, folders } = settings({ kind: 'following', node: 'n2' });
  expect(devices.filter(({ paused }) => !paused).map(({ name }) => name)).toEqual(['n1', 'n2']);
  expect(folders[0]?.devices).toEqual([{ deviceID: 'ONE' }, { deviceID: 'TWO' }]);
});

test('the configuration of a start reaches nobody outside, takes no password, and is receive-only', () => {
  const xml = renderConfig(config, settings({ kind: 'apart' }), 'KEY');
  expect(xml).toContain('<listenAddress>tcp://10.0.0.1:22000</listenAddress>');
  for (const off of [
    'globalAnnounceEnabled',
    'localAnnounceEnabled',
    'relaysEnabled',
    'natEnabled',
    'crashReportingEnabled',
  ])
    expect(xml).toContain(`<${off}>false</${off}>`);
  expect(xml).toContain('<autoUpgradeIntervalH>0</autoUpgradeIntervalH>');
  expect(xml).toContain('<urAccepted>-1</urAccepted>');
  expect(xml).toContain('path="/srv/a &#38; &#39;b&#39;"');
  expect(xml).not.toContain('sendonly');
  expect(xml).toContain('<gui enabled="true" tls="true"');
  expect(xml).toContain('ignorePerms="false"');
});

test('a mass deletion is more than both limits, counted against what there was before', () => {
  const mass = (needDeletes: number, globalItems: number) => isMass(config, { needDeletes, globalItems });
  expect(mass(100, 0)).toBe(false);
  expect(mass(101, 0)).toBe(true);
  expect(mass(101, 101)).toBe(false);
  expect(mass(102, 101)).toBe(true);
  expect(mass(5_000, 20_000)).toBe(false);
});

test('deletions are looked at once no more come, and at the latest after ten delays', () => {
  let state: Gathering | null = null;
  const at = (time: number, count: number): boolean => {
    const { next, ripe } = gather(state, count, time, 1_000);
    state = next;
    return ripe;
  };
  expect(at(0, 1)).toBe(false);
  expect(at(900, 5)).toBe(false);
  expect(at(1_800, 5)).toBe(false);
  expect(at(1_900, 5)).toBe(true);
  expect(at(2_000, 0)).toBe(false);
  for (let second = 0; second < 10; second++) expect(at(10_000 + second * 900, second + 1)).toBe(false);
  expect(at(20_000, 100)).toBe(true);
});

const folder = (over: Partial<FolderSeen> = {}): FolderSeen => ({
  id: 'etc',
  mode: 'receiveonly',
  state: 'idle',
  needItems: 0,
  needBytes: 0,
  needDeletes: 0,
  localChanges: 0,
  errors: 0,
  error: null,
  version: 1,
  globalItems: 10,
  ...over,
});
const judge = (over: Partial<Judged> & { folder?: Partial<FolderSeen> } = {}) =>
  factsOf(
    {
      seen: { at: 0, connected: new Set(), folders: [folder(over.folder)] },
      silent: null,
      stance: { kind: 'following', node: 'n2' },
      heard: true,
      connected: true,
      held: [],
      busy: false,
      stuck: 0,
      notes: [],
      ...over,
    },
    1_000,
  ).state;

test('a standby is complete when it lacks nothing; deletions to come are no lack, held ones are', () => {
  expect(judge()).toBe('complete');
  expect(judge({ folder: { needItems: 1 } })).toBe('behind');
  expect(judge({ folder: { needDeletes: 3 } })).toBe('complete');
  expect(judge({ held: [{ folder: 'etc', deletions: 3, of: 4 }] })).toBe('behind');
  expect(judge({ folder: { errors: 1 } })).toBe('behind');
  expect(judge({ stuck: 1 })).toBe('behind');
});

test('a standby that never heard of an active knows nothing, and a former active that archives is behind', () => {
  expect(judge({ heard: false })).toBe('unknown');
  expect(judge({ heard: false, busy: true })).toBe('behind');
  expect(judge({ busy: true })).toBe('behind');
});

test('without an answer what was seen holds for a while, then nothing is known', () => {
  const seen = { at: 0, connected: new Set<string>(), folders: [folder()] };
  const facts = (now: number) =>
    factsOf(
      {
        seen,
        silent: 'x',
        stance: null,
        heard: true,
        connected: null,
        held: [],
        busy: false,
        stuck: 0,
        notes: [],
      },
      now,
    );
  expect(facts(29_000).state).toBe('complete');
  expect(facts(31_000)).toMatchObject({ state: 'unknown', mode: 'unknown' });
});

test('the active is complete by itself, unless a folder cannot be used', () => {
  expect(judge({ folder: { mode: 'sendonly', needItems: 4 } })).toBe('complete');
  expect(judge({ folder: { mode: 'sendonly', error: 'folder marker missing' } })).toBe('behind');
});
