/**
 * What the active does every ten seconds for signed records: those of a cluster of before are signed, and
 * then signatures are demanded; those that an earlier authority signed are signed anew. What does not count
 * is not signed by anybody but the node whose record it is.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ConsulKv } from '../consul/port.ts';
import { renewWith } from '../core/lease.ts';
import type { TxnOp } from '../core/ports.ts';
import type { JoiningRecord, NodeRecord, View } from '../core/records.ts';
import { doNotSign, objectIn, type SignedRecords } from '../security/signed_records.ts';
import { joinTokens } from '../security/tokens.ts';
import { drive } from './drive.ts';
import type { Member } from './member.ts';
import type { Parts } from './parts.ts';

export interface SigningParts {
  readonly records: SignedRecords;
  readonly view: View;
  /** Where tokens may be written. */
  readonly kv: ConsulKv;
  /** Of all keys, with a slash at its end. */
  readonly prefix: string;
  readonly now: () => number;
  /** One transaction under the lease. */
  readonly write: (ops: TxnOp[]) => Promise<unknown>;
}

type Due = { readonly place: 'nodes' | 'joining'; readonly name: string; readonly record: object };

/**
 * The records that are to be signed; null: not yet, since a member's agent would not sign, or is not known
 * to.
 */
export function due(records: SignedRecords, view: View): Due[] | null {
  const bad = Object.keys(view.unreadable ?? {});
  const inFolder = (key: string) => key.startsWith('nodes/') || key.startsWith('joining/');
  if (!records.demanded() && (doNotSign(view).length > 0 || bad.some(inFolder))) return null;
  const all = (
    place: Due['place'],
    held: Record<string, NodeRecord> | Record<string, JoiningRecord>,
  ): Due[] =>
    Object.entries(held)
      .filter(([name, record]) => !bad.includes(`${place}/${name}`) && !records.isOurs(place, name, record))
      .map(([name, record]) => ({ place, name, record }));
  return [...all('nodes', view.nodes), ...all('joining', view.joining ?? {})];
}

/** May be repeated. Nothing in a plain cluster, and on a node without the authority's key. */
export async function keepSigned({ records, view, kv, prefix, now, write }: SigningParts): Promise<void> {
  const found = due(records, view);
  if (found === null) return;
  // Before the mark: once it is there those without a signature are worth nothing.
  if (!(await joinTokens({ kv, prefix, now, records }).signAll())) return;
  if (!records.demanded() && !(await signTombstones({ records, view, kv, prefix }))) return;
  const ops: TxnOp[] = [];
  // On condition of what was read: who is removed meanwhile does not come back by this.
  for (const { place, name, record } of found) {
    const got = await kv.get(`${prefix}${place}/${name}`, { consistency: 'consistent' });
    if (got.kind !== 'ok' || !isDeepStrictEqual(objectIn(got.entry.value), record)) return;
    const value = records.sign(place, name, record as NodeRecord & JoiningRecord);
    ops.push({ verb: 'cas', key: `${place}/${name}`, value, index: got.entry.modifyIndex });
  }
  const mark = await kv.get(`${prefix}signed`, { consistency: 'consistent' });
  if (mark.kind === 'unknown') return;
  const [held, index] = mark.kind === 'ok' ? [objectIn(mark.entry.value), mark.entry.modifyIndex] : [{}, 0];
  if (!records.isOurs('signed', '', held))
    ops.push({ verb: 'cas', key: 'signed', value: records.sign('signed', '', { schema: 1 }), index });
  if (ops.length > 0) await write(ops);
}

/**
 * Those of a version before, or the records that were theirs could be put back. False: not known to be done.
 */
async function signTombstones({
  records,
  view,
  kv,
  prefix,
}: Pick<SigningParts, 'records' | 'view' | 'kv' | 'prefix'>): Promise<boolean> {
  for (const name of view.removed.filter((one) => view.nodes[one] === undefined)) {
    const got = await kv.get(`${prefix}removed/${name}`);
    if (got.kind === 'unknown') return false;
    const held = got.kind === 'ok' ? objectIn(got.entry.value) : {};
    if (got.kind === 'absent' || records.isOurs('removed', name, held)) continue;
    const value = JSON.stringify(records.sign('removed', name, held));
    const done = await kv.put(`${prefix}removed/${name}`, value, { cas: got.entry.modifyIndex });
    if (done.kind !== 'ok') return false;
  }
  return true;
}

/** A function to call again and again: does it on the active, and nothing elsewhere. */
export function signingOf(
  { config, security }: Pick<Parts, 'config' | 'security'>,
  { signed, memberKv, node, ports }: Pick<Member, 'signed' | 'memberKv' | 'node' | 'ports'>,
): () => Promise<void> {
  const write = (ops: TxnOp[]) => drive(renewWith(node, ops), ports);
  return async () => {
    const { fence, view } = node;
    if (fence.state !== 'open' || view === null || !security.current()?.ca.key) return;
    const prefix = `${config.consul.prefix}/`;
    await keepSigned({ records: signed, view, kv: memberKv, prefix, now: () => Date.now(), write });
  };
}
