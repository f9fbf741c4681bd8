/** The sets, as `ipset restore -exist` reads them. Pure. The members' addresses come by the trampoline's `peers`. */
import { SET_CLIENT, SET_LEASE, SET_PEERS } from '../../trampoline/names.ts';
/** The lease set's own default timeout is what an entry without one would get: as short as it can be said. */
export function renderSets(clientPorts: readonly number[]): string {
  return [
    `create ${SET_LEASE} bitmap:port range 0-65535 timeout 1`,
    `create ${SET_CLIENT} bitmap:port range 0-65535`,
    `create ${SET_PEERS.v4} hash:ip family inet`,
    `create ${SET_PEERS.v6} hash:ip family inet6`,
    `flush ${SET_CLIENT}`,
    ...[...new Set(clientPorts)].map((port) => `add ${SET_CLIENT} ${port}`),
    '',
  ].join('\n');
}
