/**
 * The cluster's part in a new authority (authority.ts): it is begun by any member, once; the new key is
 * sealed for who lacks it by any that holds it; and the active moves from phase to phase. Each writes the key
 * `authority` on condition of what it read there.
 */
import { createHash } from 'node:crypto';
import * as v from 'valibot';
import type { Gate } from '../consul/gate.ts';
import type { ConsulKv } from '../consul/port.ts';
import { joiningRecord, nodeRecord } from '../consul/records.ts';
import { AgentError } from '../errors.ts';
import { createCa } from '../platform/tls/ca.ts';
import { fingerprintOf, keyFits } from '../platform/tls/read.ts';
import {
  type AuthorityMember,
  type AuthorityRecord,
  authorityRecord,
  notReady,
  phaseAfter,
  reportIn,
  waitsFor,
} from './authority.ts';
import { vouch } from './roots.ts';
import { sealFor } from './sealing.ts';
import type { Security } from './store.ts';

export interface DriveParts {
  /** With the management token. */
  readonly kv: Pick<ConsulKv, 'get' | 'put' | 'recurse'>;
  /** Of all keys, with a slash at its end. */
  readonly prefix: string;
  /** Whose records count: what a record says of its node, a key is sealed for. */
  readonly gate: Pick<Gate, 'refusal' | 'isMember'>;
}

export type Authority = { readonly record: AuthorityRecord; readonly index: number };

const transient = (code: string, message: string, hint = 'run the command again') =>
  new AgentError({ class: 'transient', code, message, hint });
const unsettled = () =>
  transient('consul_unknown', 'Consul did not confirm', 'run the command again: it goes on');

/** Null: there never was a new one. Throws transient `consul_unknown`, fatal `authority_unreadable`. */
export async function readAuthority({
  kv,
  prefix,
}: Pick<DriveParts, 'prefix'> & { kv: Pick<ConsulKv, 'get'> }) {
  const got = await kv.get(`${prefix}authority`, { consistency: 'consistent', deadlineMs: 2000 });
  if (got.kind === 'unknown') throw unsettled();
  if (got.kind === 'absent') return null;
  const read = v.safeParse(authorityRecord, parsed(got.entry.value));
  if (read.success) return { record: read.output, index: got.entry.modifyIndex } satisfies Authority;
  throw new AgentError({
    class: 'fatal',
    code: 'authority_unreadable',
    message: `the key authority in Consul is not understood: ${v.getDotPath(read.issues[0]) ?? 'it'} ${read.issues[0].message}`,
    hint: 'is a newer version of the agent in the cluster? Nothing is changed until it can be read',
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * All members and who is joining, as Consul has them now. One whose record cannot be read, or does not count,
 * says nothing. Throws transient `consul_unknown`.
 */
export async function membersNow({ kv, prefix, gate }: DriveParts): Promise<AuthorityMember[]> {
  const all: AuthorityMember[] = [];
  for (const [folder, schema] of [
    ['nodes/', nodeRecord],
    ['joining/', joiningRecord],
  ] as const) {
    const got = await kv.recurse(`${prefix}${folder}`, { consistency: 'consistent', deadlineMs: 3000 });
    if (got.kind === 'unknown') throw unsettled();
    for (const { key, value } of got.entries) {
      const name = key.slice(prefix.length + folder.length);
      if (folder === 'joining/') {
        // Entered already, and its reservation not taken away yet.
        if (!all.some((one) => one.name === name)) all.push({ name, joining: true, report: undefined });
        continue;
      }
      const read = v.safeParse(schema, parsed(value));
      const found = read.success ? (read.output as v.InferOutput<typeof nodeRecord>) : undefined;
      const record =
        found !== undefined && gate.refusal('nodes', name, found) === undefined ? found : undefined;
      // Written by nobody who makes members, and none that was one.
      if (record === undefined && !gate.isMember(name)) continue;
      all.push({
        name,
        leaving: record?.leaving === true,
        version: record?.version,
        report: reportIn(record?.authority),
      });
    }
  }
  return all;
}

const hashOfKey = (seal: string): string => createHash('sha256').update(seal).digest('hex');

/** With a box for each of these members that has none for the key it has now, and lacks the new root's. */
async function sealedFor(
  record: Pick<AuthorityRecord, 'sealed' | 'certificate'>,
  key: string,
  members: readonly AuthorityMember[],
): Promise<AuthorityRecord['sealed']> {
  const fresh = fingerprintOf(record.certificate);
  const sealed = { ...record.sealed };
  for (const { name, report } of members) {
    if (report === undefined || report.keys.includes(fresh)) continue;
    const to = hashOfKey(report.seal);
    if (sealed[name]?.to !== to) sealed[name] = { to, box: await sealFor(report.seal, key) };
  }
  return sealed;
}

async function write(parts: DriveParts, record: AuthorityRecord, cas: number): Promise<boolean> {
  const done = await parts.kv.put(`${parts.prefix}authority`, JSON.stringify(record), { cas });
  if (done.kind === 'unknown') throw unsettled();
  return done.kind === 'ok';
}

/** `hold`: stay where every node trusts both, until it is called without. */
export interface Begin {
  readonly security: Security;
  readonly hold: boolean;
  readonly by: string;
  /** For the root's name. */
  readonly id: string;
  /** Of the agent here. */
  readonly version: string;
}

/**
 * Begins a new authority, or goes on with the one that is under way. Throws operator `authority_not_ready`
 * with who is not (transient: they have only just joined), transient `not_enrolled`, `consul_unknown`,
 * `authority_changed`.
 */
export async function beginAuthority(
  parts: DriveParts,
  { security, hold, by, id, version }: Begin,
): Promise<void> {
  const { ca } = security;
  if (ca.key === '')
    throw transient('not_enrolled', 'this node has no key of the authority: it is not enrolled');
  const known = await readAuthority(parts);
  if (known !== null && known.record.phase !== 'drop') {
    if ((known.record.hold === true) === hold) return;
    const { hold: _, ...record } = known.record;
    // Past `trust` there is nothing to hold any more.
    if (hold && record.phase !== 'trust') return;
    if (!(await write(parts, { ...record, ...(hold ? { hold } : {}) }, known.index))) throw changed();
    return;
  }
  const members = await membersNow(parts);
  // Somebody has not dropped the one before the last yet: that is gone on with.
  if (known !== null && waitsFor('drop', fingerprintOf(known.record.certificate), members).length > 0) return;
  const current = fingerprintOf(ca.certificate);
  const waits = notReady(current, members, version);
  if (waits.length > 0)
    throw new AgentError({
      class: waits.every(({ soon }) => soon === true) ? 'transient' : 'operator',
      code: 'authority_not_ready',
      message: `not every member can take part: ${waits.map(({ node, why }) => `${node} ${why}`).join('; ')}`,
      hint: 'upgrade it or bring it back, or take it out with agent cluster nodes remove; then run the command again',
    });
  const made = await createCa(id);
  const { certificate } = made;
  const record: AuthorityRecord = {
    schema: 1,
    phase: 'trust',
    old: current,
    certificate,
    vouched: vouch(ca, certificate),
    sealed: await sealedFor({ sealed: {}, certificate }, made.key, members),
    ...(hold ? { hold } : {}),
    by,
    at: new Date().toISOString(),
  };
  if (!(await write(parts, record, known?.index ?? 0))) throw changed();
}

const changed = () =>
  transient(
    'authority_changed',
    'another command changed the same record at this moment',
    "look at 'agent cluster certificates'",
  );

/**
 * On every member that holds the new key: boxes for those that joined, or whose own key is another by now.
 * True when it wrote.
 */
export async function sealForOthers(
  parts: DriveParts,
  { record, index }: Authority,
  keys: readonly string[],
  members: readonly AuthorityMember[],
): Promise<boolean> {
  if (record.phase === 'drop') return false;
  const key = keys.find((one) => keyFits(record.certificate, one));
  if (key === undefined) return false;
  const sealed = await sealedFor(record, key, members);
  if (Object.entries(sealed).every(([name, { to }]) => record.sealed[name]?.to === to)) return false;
  return await write(parts, { ...record, sealed }, index);
}

/**
 * On the active. `resealed`: asked before the old key may go; true when nothing is sealed with it any more.
 * Resolves with the phase that was begun, or null.
 */
export async function advanceAuthority(
  parts: DriveParts,
  { record, index }: Authority,
  members: readonly AuthorityMember[],
  resealed: () => Promise<boolean>,
): Promise<AuthorityRecord['phase'] | null> {
  const { phase } = record;
  if (phase === 'drop' || members.length === 0) return null;
  if (phase === 'trust' && record.hold === true) return null;
  if (waitsFor(phase, fingerprintOf(record.certificate), members).length > 0) return null;
  if (phase === 'renew' && !(await resealed())) return null;
  const next = phaseAfter(phase);
  const { hold: _, ...rest } = record;
  // What was sealed is in everybody's files by then.
  const written = await write(
    parts,
    { ...rest, phase: next, ...(next === 'drop' ? { sealed: {} } : {}) },
    index,
  );
  return written ? next : null;
}
