/**
 * What a node writes of itself into its record: at its start or join, and again whenever it is not so any
 * more.
 */
import type { NodeConfig } from '../config/index.ts';
import type { NodeRecord } from '../core/records.ts';
import type { Files } from '../roles/files/port.ts';
import { version } from '../version.ts';

export function nodeRecordOf(config: NodeConfig): NodeRecord {
  return {
    schema: 1,
    hostIp: config.host_ip,
    publicIp: config.public_ip ?? null,
    apiPort: config.api.port,
    postgresPort: config.postgres.port,
    version,
    options: { priority: config.tags.priority, nofailover: config.tags.nofailover, maintenance: false },
  };
}

/** Syncthing's id of this node, for its record. */
export const device = async (files: Files): Promise<{ deviceId?: string }> =>
  files.enabled ? { deviceId: await files.deviceId() } : {};
