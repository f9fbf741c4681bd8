/**
 * A node keeps true what its record in Consul says of itself: a join writes it once, and then files are
 * switched on, programs are upgraded, certificates renewed. Only what nobody else decides about it; options
 * and membership are the active's to write.
 */
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import * as v from 'valibot';
import type { NodeConfig } from '../config/index.ts';
import type { ConsulKv } from '../consul/port.ts';
import { nodeRecord } from '../consul/records.ts';
import type { NodeRecord, View } from '../core/records.ts';
import { consulBinary, postgresBinDir, syncthingBinary } from '../platform/paths.ts';
import { versionOf } from '../platform/program_version.ts';
import type { Postgres } from '../roles/postgres/port.ts';
import type { SignedRecords } from '../security/signed_records.ts';
import { version } from '../version.ts';
import { settingsOf, toldBy, type Versions } from './member_settings.ts';
import type { Parts } from './parts.ts';
import { device, nodeRecordOf } from './self_description.ts';

/** Programs are asked for their versions this often, ms: an upgrade beneath a running agent. */
const ASK_AGAIN = 3_600_000;

export type OwnRecordParts = {
  readonly parts: Pick<Parts, 'config' | 'files' | 'security' | 'pg'>;
  readonly kv: Pick<ConsulKv, 'get' | 'put'>;
  /** With what it is signed. */
  readonly records: Pick<SignedRecords, 'sign' | 'isOurs' | 'refusal'>;
  readonly view: () => View | null;
  readonly name: string;
  /** Told of each change of the record, in words. */
  readonly say: (line: string) => void;
};

export async function versionsOf(config: NodeConfig): Promise<Versions> {
  const postgres = postgresBinDir(config);
  const programs: [name: string, binary: string | undefined, arg: string][] = [
    ['postgresql', postgres === undefined ? undefined : join(postgres, 'postgres'), '--version'],
    ['consul', config.consul.mode === 'external' ? undefined : consulBinary(config), 'version'],
    ['syncthing', config.files.enabled ? syncthingBinary(config) : undefined, '--version'],
  ];
  const found: Record<string, string> = { agent: version };
  // One after the other: this is the work of an idle moment.
  for (const [name, binary, arg] of programs) {
    const said = binary === undefined ? undefined : await versionOf(binary, [arg]);
    if (said !== undefined) found[name] = said.join('.');
  }
  return found;
}

/**
 * A function to call again and again: writes the record anew when what it says of this node is not so, by
 * compare-and-set, and only one that is there: a node that was removed does not come back by it. Whether the
 * record is true now.
 */
export function ownRecord({ parts, kv, records, view, name, say }: OwnRecordParts): () => Promise<boolean> {
  const { config, files, security, pg } = parts;
  let sorting: Versions | undefined;
  let versions: Versions = {};
  let askedAt = Number.NEGATIVE_INFINITY;

  /** `undefined` as a value: the record is to have no such field. */
  async function facts() {
    if (performance.now() - askedAt > ASK_AGAIN) {
      versions = await versionsOf(config);
      askedAt = performance.now();
      sorting = undefined;
    }
    // Until a server answers: it may be starting.
    sorting ??= await sortingOf(pg);
    const { options: _, ...own } = nodeRecordOf(config);
    const { certificate, proof } = security.current() ?? {};
    // By the record the others let its database in: told once its server shows the new one, or they would
    // shut it out.
    const shown = certificate?.services === true ? 'own' : 'shared';
    return {
      ...own,
      ...(proof === undefined ? {} : { proof }),
      ...(certificate !== undefined && security.inPostgres() === shown ? { certificate } : {}),
      // Without its program there is no id to be made; the one that is known stays.
      ...(await device(files).then(
        (known) => ({ deviceId: undefined, ...known }),
        () => ({}),
      )),
      settings: settingsOf(config, { ...versions, ...(sorting ?? sortingTold(view()?.nodes[name])) }),
      ...authority(security.report()),
    };
  }

  /** Of a record that somebody else wrote the options alone are taken over: they open no door. */
  function cleaned({ options }: NodeRecord): NodeRecord {
    const own = security.current()?.certificate;
    const certificate =
      own === undefined ? {} : { certificate: { name: own.name, fingerprint: own.fingerprint } };
    return { ...nodeRecordOf(config), options, ...certificate };
  }

  return async () => {
    const seen = view();
    const known = seen?.nodes[name];
    if (known === undefined || seen?.removed.includes(name)) return false;
    // Not answered yet that it is enrolled: it has no key to sign with.
    if (security.current()?.ca.key === '') return false;
    const notRead = seen?.unreadable?.[`nodes/${name}`] !== undefined;
    if (known.leaving === true && !notRead) return false;
    const own = await facts();
    const same = changed(known, own).length === 0 && records.isOurs('nodes', name, known);
    if (same && !notRead) return true;
    const key = `${config.consul.prefix}/nodes/${name}`;
    const read = await kv.get(key, { consistency: 'consistent' });
    if (read.kind !== 'ok') return false;
    const parsed = v.safeParse(nodeRecord, JSON.parse(read.entry.value));
    if (!parsed.success) return false;
    const refused = records.refusal('nodes', name, parsed.output) !== undefined;
    if (!refused && (notRead || parsed.output.leaving === true)) return false;
    const base = refused ? cleaned(parsed.output) : parsed.output;
    const what = changed(base, own);
    if (refused || !records.isOurs('nodes', name, base)) what.push('signature');
    if (what.length === 0) return true;
    const value = JSON.stringify(records.sign('nodes', name, { ...base, ...own }));
    const done = await kv.put(key, value, { cas: read.entry.modifyIndex });
    if (done.kind === 'ok') say(`nodes/${name} in Consul was updated: ${what.join(', ')}`);
    return done.kind === 'ok';
  };
}

const SORTING = 'collations of ';

/**
 * The libraries that sort: rows that one of another version sorted may not be found. Undefined where no
 * server answers.
 */
async function sortingOf(pg: Pick<Postgres, 'inspect'>): Promise<Versions | undefined> {
  const { collations } = await pg.inspect().catch(() => ({ collations: undefined }));
  if (collations === undefined) return undefined;
  return Object.fromEntries(Object.entries(collations).map(([what, its]) => [`${SORTING}${what}`, its]));
}

/** As they were told last. */
const sortingTold = (record: NodeRecord | undefined): Versions =>
  Object.fromEntries(
    (toldBy(record)?.versions ?? [])
      .filter((told) => told.startsWith(SORTING))
      .map((told) => [told.slice(0, told.lastIndexOf(' ')), told.slice(told.lastIndexOf(' ') + 1)]),
  );

/** What is not known yet stays as it is told. */
const authority = <T>(report: T | undefined) => (report === undefined ? {} : { authority: report });

/** The fields of `facts` that `record` has otherwise. */
const changed = (record: object, facts: object): string[] =>
  Object.entries(facts)
    .filter(([field, value]) => !isDeepStrictEqual((record as Record<string, unknown>)[field], value))
    .map(([field]) => field);
