import { describe, expect, test } from 'bun:test';
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { floorsOf, parseControl } from '../../../agent/roles/postgres/control.ts';
import { isDiverging } from '../../../agent/roles/postgres/divergence.ts';
import { scramVerifier } from '../../../agent/roles/postgres/replication_role.ts';
import { attempt, createLossWatch } from '../../../agent/roles/postgres/server.ts';
import { slotTarget } from '../../../agent/roles/postgres/slots.ts';
import { parseProgress } from '../../../agent/roles/postgres/tools.ts';

const controlText = `pg_control version number:            1300
Database system identifier:           7711062786291333570
Database cluster state:               shut down in recovery
Latest checkpoint location:           0/3000060
Latest checkpoint's REDO location:    0/3000028
Latest checkpoint's TimeLineID:       4
Minimum recovery ending location:     1/2A
Min recovery ending loc's timeline:   4
wal_level setting:                    replica
wal_log_hints setting:                on
Bytes per WAL segment:                16777216
Data page checksum version:           0
max_connections setting:              100
max_worker_processes setting:         8
max_wal_senders setting:              10
max_prepared_xacts setting:           0
max_locks_per_xact setting:           64
`;

describe('pg_controldata', () => {
  test('is read', () => {
    expect(parseControl(controlText)).toEqual({
      systemId: '7711062786291333570',
      state: 'shut down in recovery',
      checkpoint: 0x3000060n,
      redo: 0x3000028n,
      timeline: 4,
      minRecovery: 0x10000002an,
      minRecoveryTimeline: 4,
      walLevel: 'replica',
      walLogHints: true,
      checksums: false,
      segmentSize: 16777216n,
      version: 1300,
      floors: {
        max_connections: 100,
        max_worker_processes: 8,
        max_wal_senders: 10,
        max_prepared_transactions: 0,
        max_locks_per_transaction: 64,
      },
    });
  });
  test('a missing line throws: nothing is taken for granted', () => {
    expect(() => parseControl(controlText.replace(/^Latest checkpoint's TimeLineID.*$/m, ''))).toThrow(
      'TimeLineID',
    );
  });
});

test('a standby is given what its primary had, where the own configuration is lower', () => {
  expect(
    floorsOf(parseControl(controlText), {
      max_connections: 40,
      max_worker_processes: 4,
      max_wal_senders: 20,
      max_prepared_transactions: 0,
      max_locks_per_transaction: 64,
    }),
  ).toEqual({
    max_connections: '100',
    max_worker_processes: '8',
  });
});

describe('the WAL worth saving', () => {
  const fork = { tli: 1, lsn: 0x4800000n };
  test.each([
    ['000000010000000000000003', false, 'ends before the fork'],
    ['000000010000000000000004', true, 'holds the fork'],
    ['000000020000000000000005', true, 'is of a later timeline'],
    ['000000010000000000000006', false, 'is a recycled file behind the end'],
    ['00000002.history', true, 'is a history'],
    ['archive_status', false, 'is no segment'],
  ])('%s: %p, it %s', (file, saved) => expect(isDiverging(file, fork, 0x6000000n)).toBe(saved));
  test('without a known fork everything up to the end is', () => {
    expect(isDiverging('000000010000000000000001', null, 0x6000000n)).toBe(true);
  });
});

describe('slots of a standby', () => {
  test('stay at the restart point, and a margin behind what is replayed', () => {
    expect(slotTarget(1000n, 900n, 500n)).toBe(500n);
    expect(slotTarget(1000n, 300n, 500n)).toBe(300n);
    expect(slotTarget(100n, 300n, 500n)).toBe(0n);
  });
});

describe('the loss of the server', () => {
  const watch = () => {
    const loss = createLossWatch();
    let told = 0;
    loss.onLost(() => told++);
    return { loss, told: () => told };
  };
  test('is told once, however many signs there are, and again after it was seen alive', () => {
    const { loss, told } = watch();
    loss.sign();
    expect(told()).toBe(0);
    loss.arm();
    loss.sign();
    loss.sign();
    expect(told()).toBe(1);
    loss.arm();
    loss.sign();
    expect(told()).toBe(2);
  });
  test('is not told when wanted, even when an observer connects in between', () => {
    const { loss, told } = watch();
    loss.arm();
    loss.want(true);
    loss.arm();
    loss.sign();
    expect(told()).toBe(0);
    loss.want(false);
    loss.arm();
    loss.sign();
    expect(told()).toBe(1);
  });
});

test('a thrown error becomes a failure that says what was tried', async () => {
  expect(await attempt('to try', () => Promise.reject(new Error('no')))).toEqual({
    kind: 'failed',
    why: 'to try: no',
  });
});

test('a progress line gives bytes, any other nothing', () => {
  expect(parseProgress(' 2048/4096 kB (50%), 0/1 tablespace')).toEqual({ bytes: 2097152, total: 4194304 });
  expect(parseProgress('waiting for checkpoint')).toBeNull();
});

test('a SCRAM verifier holds the keys of the password and not the password', () => {
  const salt = new Uint8Array(16).fill(7);
  const [, rounds, saltText, stored, server] =
    /^SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):(.+)$/.exec(scramVerifier('secret', salt)) ?? [];
  const salted = pbkdf2Sync('secret', salt, Number(rounds), 32, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  expect(saltText).toBe(Buffer.from(salt).toString('base64'));
  expect(stored).toBe(createHash('sha256').update(clientKey).digest('base64'));
  expect(server).toBe(createHmac('sha256', salted).update('Server Key').digest('base64'));
});
