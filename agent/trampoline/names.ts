/** The ipsets with the addresses of the other nodes; rendered rules name them. */
export const PEER_SETS = { 4: 'cloudify-peers4', 6: 'cloudify-peers6' } as const;

/** The client ports; made with the other sets of `firewallDir`/sets. */
export const CLIENT_SET = 'cloudify-client';
