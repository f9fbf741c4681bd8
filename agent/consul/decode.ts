/**
 * From a value in Consul to a record: understood or not, counting or not, and remembered until the value is
 * another.
 */
import * as v from 'valibot';
import { isNameOf } from '../config/member.ts';
import type { JoiningRecord, NodeRecord } from '../core/records.ts';
import { type Gate, GUARDED } from './gate.ts';
import type { KvEntry } from './port.ts';

/**
 * What was decoded last per key: most keys are the same from one read to the next, and decoding is most of
 * the cost.
 */
export type DecodeCache = Map<string, Decoded>;
type Parsed = { value: unknown } | { why: string };
/**
 * `value`: what was last understood, and counts; undefined: nothing ever did. `why`: the value at `index` is
 * not, or does not.
 */
export type Decoded = { index: number; epoch: number; parsed: Parsed; value: unknown; why?: string };

/** A longer value is none of ours. */
const LONGEST = 262_144;

/**
 * What was deleted is not understood any more by what it was: a removed member does not come back behind a
 * bad value.
 */
export function forgetOthers(cache: DecodeCache, entries: readonly KvEntry[]): void {
  const there = new Set(entries.map(({ key }) => key));
  for (const key of cache.keys()) if (!there.has(key)) cache.delete(key);
}

export function decode(
  entry: KvEntry,
  schema: v.GenericSchema<unknown>,
  cache: DecodeCache,
  folder: string,
  name: string,
  gate: Gate,
): Decoded {
  const known = cache.get(entry.key);
  const [index, epoch] = [entry.modifyIndex, gate.epoch()];
  if (known?.index === index && known.epoch === epoch) return known;
  const read =
    known?.index === index
      ? known.parsed
      : parsed(entry.value, schema, (value) => fault(folder, name, value));
  const judged = GUARDED.has(folder);
  const refusal = (value: unknown) =>
    judged ? gate.refusal(folder as 'nodes', name, value as NodeRecord) : undefined;
  const stands = (value: unknown) => !judged || gate.stands(folder as 'nodes', name, value as NodeRecord);
  const why = 'why' in read ? read.why : refusal(read.value);
  const decoded: Decoded =
    'why' in read || why !== undefined
      ? { index, epoch, parsed: read, value: stands(known?.value) ? known?.value : undefined, why: why ?? '' }
      : { index, epoch, parsed: read, value: read.value };
  cache.set(entry.key, decoded);
  return decoded;
}

/** A certificate's name is that of the node whose record it is in: nobody is let in by another's. */
function fault(folder: string, name: string, value: unknown): string | undefined {
  const record = folder === 'joining' ? (value as JoiningRecord).node : (value as NodeRecord);
  if (folder !== 'nodes' && folder !== 'joining') return undefined;
  const own = record.certificate === undefined || isNameOf(name, record.certificate.name);
  return own ? undefined : `certificate.name: must begin with ${name}.`;
}

function parsed(
  text: string,
  schema: v.GenericSchema<unknown>,
  faultOf: (value: unknown) => string | undefined,
): Parsed {
  if (text.length > LONGEST) return { why: `it has ${text.length} bytes` };
  try {
    const checked = v.safeParse(schema, JSON.parse(text));
    if (checked.success) {
      const why = faultOf(checked.output);
      return why === undefined ? { value: checked.output } : { why };
    }
    const [issue] = checked.issues;
    return { why: `${v.getDotPath(issue) ?? 'it'}: ${issue.message}`.slice(0, 200) };
  } catch {
    return { why: text === '' ? 'it is empty' : 'it is not JSON' };
  }
}
