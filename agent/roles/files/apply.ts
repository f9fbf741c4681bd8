/**
 * Brings a running Syncthing's configuration to what it should be, in one commit and only where it differs: a
 * change restarts the folder.
 */
import { query, type Rest } from './rest.ts';
import type { Settings } from './settings.ts';

type Device = { deviceID: string; name: string; addresses: string[]; paused: boolean };
type Folder = {
  id: string;
  label: string;
  path: string;
  type: string;
  paused: boolean;
  devices: { deviceID: string }[];
  ignoreDelete: boolean;
};
type Whole = { devices: Device[]; folders: Folder[]; [key: string]: unknown };

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

const ids = (devices: readonly { deviceID: string }[]): string[] =>
  devices.map(({ deviceID }) => deviceID).sort();

/** Throws when Syncthing does not take it. Returns whether anything was changed. */
export async function applySettings(rest: Rest, wanted: Settings, ms: number): Promise<boolean> {
  const whole = (await rest.get('config', ms)) as Whole;
  const devices = wanted.devices.map((device) => {
    const now = whole.devices.find(({ deviceID }) => deviceID === device.deviceID);
    // Its own entry is Syncthing's business.
    return device === wanted.devices[0] && now !== undefined ? now : { ...now, ...device };
  });
  const folders = wanted.folders.map((folder) => {
    const now = whole.folders.find(({ id }) => id === folder.id);
    if (now === undefined) return { ...folder, paused: false };
    const known = new Map(now.devices.map((device) => [device.deviceID, device]));
    const shared = same(ids(now.devices), ids(folder.devices))
      ? now.devices
      : folder.devices.map((device) => known.get(device.deviceID) ?? device);
    return { ...now, ...folder, devices: shared, paused: false };
  });
  if (sameSet(whole.devices, devices) && same(whole.folders, folders)) return false;
  await rest.send('PUT', 'config', ms, { ...whole, devices, folders });
  return true;
}

function sameSet(a: readonly Device[], b: readonly Device[]): boolean {
  const sorted = (devices: readonly Device[]) =>
    [...devices]
      .sort((x, y) => (x.deviceID < y.deviceID ? -1 : 1))
      .map((device) => JSON.stringify(sortKeys(device)));
  return same(sorted(a), sorted(b));
}

const sortKeys = (device: Device): [string, unknown][] =>
  Object.entries(device).sort(([a], [b]) => (a < b ? -1 : 1));

/** The ignore patterns of a folder, the same on every node: Syncthing itself does not carry them over. */
export async function applyIgnores(
  rest: Rest,
  folder: string,
  patterns: readonly string[],
  ms: number,
): Promise<void> {
  const path = query('db/ignores', { folder });
  const now = (await rest.get(path, ms)) as { ignore: string[] | null };
  if (same(now.ignore ?? [], patterns)) return;
  await rest.send('POST', path, ms, { ignore: patterns });
}
