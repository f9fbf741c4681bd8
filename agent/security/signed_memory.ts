/**
 * What an agent has seen of signed records, kept on its own disk: whoever writes into Consul does not make it
 * forget.
 */
import * as v from 'valibot';
import type { Config } from '../config/index.ts';
import { readJson, writeJson } from '../platform/files.ts';
import { agentFiles } from '../platform/paths.ts';

const memory = v.object({
  clusterId: v.string(),
  /** From here on records without a signature count for nothing; never false again. */
  demanded: v.boolean(),
  /** Per name of a node the newest that was signed for it, and whether that was its removal. */
  members: v.record(v.string(), v.object({ issued: v.number(), gone: v.optional(v.boolean()) })),
});
export type SignedMemory = v.InferOutput<typeof memory>;

export interface SignedStore {
  /** Of this cluster; of another nothing is remembered. Throws operator `file_damaged`. */
  load(clusterId: string): SignedMemory;
  /** Throws transient `file_not_written`. */
  save(memory: SignedMemory): void;
}

export function signedStore(config: Config): SignedStore {
  const path = agentFiles(config).state('signed');
  return {
    load(clusterId) {
      const found = readJson(path, memory);
      return found?.clusterId === clusterId ? found : { clusterId, demanded: false, members: {} };
    },
    save: (known) => writeJson(path, known),
  };
}

/** For a manager that joins a cluster whose records are signed: it has never seen another. */
export function demandFromNow(store: SignedStore, clusterId: string): void {
  store.save({ ...store.load(clusterId), demanded: true });
}
