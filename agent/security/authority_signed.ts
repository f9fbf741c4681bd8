/**
 * Before the old root is dropped: what counts by the authority's signature is signed by the new one, or
 * nobody would be a member.
 */
import type { ConsulKv } from '../consul/port.ts';
import type { NodeRecord } from '../core/records.ts';
import { signatureIn } from './signature.ts';
import { objectIn, type SignedRecords } from './signed_records.ts';
import { joinTokens } from './tokens.ts';

export interface SignedAnewParts {
  /** With the management token. */
  readonly kv: ConsulKv;
  /** Of all keys, with a slash at its end. */
  readonly prefix: string;
  readonly records: Pick<SignedRecords, 'sign' | 'isOurs' | 'refusal'>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/**
 * On a node that signs with the new root. Signs join tokens itself; members and the active sign records again
 * and again (own_record.ts, sign_members.ts). True once all are; false: not yet, or not known. What counts
 * for nothing holds nothing up.
 */
export async function signedAnew({ kv, prefix, records, now }: SignedAnewParts): Promise<boolean> {
  if (!(await joinTokens({ kv, prefix, now, records }).signAll())) return false;
  const nodes = await kv.recurse(`${prefix}nodes/`, { consistency: 'consistent', deadlineMs: 3000 });
  const mark = await kv.get(`${prefix}signed`, { consistency: 'consistent', deadlineMs: 2000 });
  if (nodes.kind !== 'ok' || mark.kind === 'unknown') return false;
  const own = nodes.entries.every(({ key, value }) => {
    const name = key.slice(`${prefix}nodes/`.length);
    const record = objectIn(value) as NodeRecord;
    if (signatureIn(record) === undefined || records.refusal('nodes', name, record) !== undefined)
      return true;
    return records.isOurs('nodes', name, record);
  });
  return own && (mark.kind === 'absent' || records.isOurs('signed', '', objectIn(mark.entry.value)));
}
