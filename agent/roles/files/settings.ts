/**
 * What Syncthing is told: one description, rendered as config.xml before a start and laid over its REST
 * config while it runs. Pure.
 */
import { hostPort, type NodeConfig } from '../../config/index.ts';
import type { FileMember } from './port.ts';

/** Where this node stands towards the others. */
export type Stance =
  /** Nothing comes in or goes out; what is known of the others' files is kept. Every start begins so. */
  | { readonly kind: 'apart' }
  | { readonly kind: 'leading' }
  /** Files come from this node alone: another one, that was active until a moment ago, has no say. */
  | { readonly kind: 'following'; readonly node: string };

export type DeviceSettings = { deviceID: string; name: string; addresses: string[]; paused: boolean };

export type FolderSettings = {
  id: string;
  label: string;
  path: string;
  type: 'sendonly' | 'receiveonly';
  devices: { deviceID: string }[];
  ignoreDelete: boolean;
};

export type Settings = { devices: DeviceSettings[]; folders: FolderSettings[] };

export type SettingsInput = {
  readonly config: NodeConfig;
  readonly own: string;
  readonly members: readonly FileMember[];
  readonly stance: Stance;
  /** Deletions are carried out as they come in; otherwise they wait for the guard. */
  readonly deletions: boolean;
};

export const urlOf = (host: string, port: number): string => `tcp://${hostPort(host, port)}`;

export function settingsOf({ config, own, members, stance, deletions }: SettingsInput): Settings {
  const { files } = config;
  const connected = (node: string) =>
    stance.kind === 'leading' || (stance.kind === 'following' && stance.node === node);
  const shared = members.filter(({ node }) => stance.kind !== 'following' || stance.node === node);
  return {
    devices: [
      { deviceID: own, name: config.node_name, addresses: ['dynamic'], paused: false },
      ...members.map(({ node, deviceId, address }) => ({
        deviceID: deviceId,
        name: node,
        addresses: [address.includes('://') ? address : urlOf(address, files.port)],
        paused: !connected(node),
      })),
    ],
    folders: files.folders.map(({ id, path }) => ({
      id,
      label: id,
      path,
      type: stance.kind === 'leading' ? 'sendonly' : 'receiveonly',
      devices: [own, ...shared.map(({ deviceId }) => deviceId)].map((deviceID) => ({ deviceID })),
      // A send-only folder takes no deletions anyway, and a change of this setting restarts the folder.
      ignoreDelete: !deletions,
    })),
  };
}
