/** The node's security as its parts ask for it at every call: read once, and again when its files were written. */
import type { NodeConfig } from '../config.ts';
import { loadSecurity, type Security } from './store.ts';

export interface LiveSecurity {
  /** Undefined in a plain cluster, and before start or join have made it. The same object until `reload`. */
  current(): Security | undefined;
  /** After the files were written or removed. */
  reload(): Security | undefined;
}

export function liveSecurity(config: NodeConfig): LiveSecurity {
  let known: Security | undefined;
  return {
    current() {
      known ??= loadSecurity(config);
      return known;
    },
    reload() {
      known = loadSecurity(config);
      return known;
    },
  };
}
