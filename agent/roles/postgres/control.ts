/** pg_control: what the server last wrote about itself. Read with no server running. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { parseLsn } from '../../core/lsn.ts';
import type { Lsn } from '../../core/postgres.ts';
import { runOk } from '../../platform/process.ts';
import type { PgOptions } from './options.ts';

/**
 * Settings that a standby must not have lower than the primary that wrote its WAL, or it refuses to start:
 * their names in pg_controldata, and of the setting. Where the own configuration is behind, the values
 * recorded in pg_control stand in for it.
 */
export const floorNames: Readonly<Record<string, string>> = {
  max_connections: 'max_connections',
  max_worker_processes: 'max_worker_processes',
  max_wal_senders: 'max_wal_senders',
  max_prepared_xacts: 'max_prepared_transactions',
  max_locks_per_xact: 'max_locks_per_transaction',
};

export type Control = {
  systemId: string;
  /** As pg_controldata says it: 'shut down', 'shut down in recovery', 'in production', ... */
  state: string;
  checkpoint: Lsn;
  redo: Lsn;
  timeline: number;
  /** Where a standby must replay to at least, and on which timeline; 0 on a primary. */
  minRecovery: Lsn;
  minRecoveryTimeline: number;
  walLevel: string;
  walLogHints: boolean;
  checksums: boolean;
  segmentSize: bigint;
  version: number;
  /** Settings of the primary that wrote the WAL, by name, which a standby must reach. */
  floors: Record<string, number>;
};

export function parseControl(text: string): Control {
  const values = new Map(
    text.split('\n').flatMap((line) => {
      const at = line.indexOf(':');
      return at < 0 ? [] : [[line.slice(0, at).trim(), line.slice(at + 1).trim()] as const];
    }),
  );
  const value = (name: string): string => {
    const found = values.get(name);
    if (found === undefined) throw new Error(`pg_controldata does not report "${name}"`);
    return found;
  };
  return {
    systemId: value('Database system identifier'),
    state: value('Database cluster state'),
    checkpoint: parseLsn(value('Latest checkpoint location')),
    redo: parseLsn(value("Latest checkpoint's REDO location")),
    timeline: Number(value("Latest checkpoint's TimeLineID")),
    minRecovery: parseLsn(value('Minimum recovery ending location')),
    minRecoveryTimeline: Number(value("Min recovery ending loc's timeline")),
    walLevel: value('wal_level setting'),
    walLogHints: value('wal_log_hints setting') === 'on',
    checksums: Number(value('Data page checksum version')) > 0,
    segmentSize: BigInt(value('Bytes per WAL segment')),
    version: Number(value('pg_control version number')),
    floors: Object.fromEntries(
      Object.entries(floorNames).map(([name, setting]) => [setting, Number(value(`${name} setting`))]),
    ),
  };
}

/** Throws when the file is missing or damaged. */
export async function readControl(o: Pick<PgOptions, 'binDir' | 'dataDir'>, ms = 5000): Promise<Control> {
  const env = { LC_ALL: 'C', LANGUAGE: undefined };
  const { stdout } = await runOk(join(o.binDir, 'pg_controldata'), ['-D', o.dataDir], { deadline: ms, env });
  return parseControl(stdout);
}

/**
 * The first fields, without a process: their place has not changed from 13 to 18. `down` is true from the
 * moment a shutdown checkpoint is complete, while walsenders may still be sending it.
 */
export async function peekControl(dataDir: string): Promise<{ systemId: string; down: boolean } | null> {
  try {
    const file = await open(join(dataDir, 'global', 'pg_control'), 'r');
    try {
      const bytes = new Uint8Array(24);
      const { bytesRead } = await file.read(bytes, 0, 24, 0);
      if (bytesRead < 24) return null;
      const view = new DataView(bytes.buffer);
      const state = view.getUint32(16, true);
      return { systemId: view.getBigUint64(0, true).toString(), down: state === 1 || state === 2 };
    } finally {
      await file.close();
    }
  } catch {
    return null;
  }
}

/** What has to be raised, given what is configured; a setting that is high enough is left alone. */
export function floorsOf(
  control: Control,
  configured: Readonly<Record<string, number>>,
): Record<string, string> {
  const raised = Object.entries(control.floors).filter(([name, value]) => value > (configured[name] ?? 0));
  return Object.fromEntries(raised.map(([name, value]) => [name, String(value)]));
}
