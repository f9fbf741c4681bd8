/** Tokens and policies: what each member's token may do. Called with the management token. */
import { parse, unexpected } from './answers.ts';
import type { CallOptions, Done, Unknown } from './port.ts';
import type { Call, ConsulTransport, Reply } from './transport.ts';

/** Keys below the prefix that any member writes, most of them once it is the active. */
const SHARED = ['next_master', 'sync', 'active', 'request', 'history/'];

/**
 * Who is a member, what lets others become one, and what holds for all of them: written with the management
 * token alone. A node's own token, which passes over more hands, makes no members.
 */
const MEMBERSHIP = [
  'authority',
  'cluster',
  'config',
  'gossip',
  'signed',
  'nodes/',
  'joining/',
  'removed/',
  'tokens/',
];

/** Is this key, without the prefix, written with the management token? */
export const isMembershipKey = (key: string): boolean =>
  MEMBERSHIP.some((one) => (one.endsWith('/') ? key.startsWith(one) : key === one));

/**
 * The policy of one node, in Consul's language. Of `state/` it writes its own alone; what it does not name is
 * denied. `joining`: of a manager that is no member yet. The lease, the voters and whom to follow are no
 * affair of its.
 */
export function nodeRules(node: string, prefix: string, joining = false): string {
  const rule = (kind: string, name: string, policy: string) => `${kind} "${name}" { policy = "${policy}" }`;
  return [
    rule('key_prefix', `${prefix}/`, 'read'),
    rule('key', `${prefix}/state/${node}`, 'write'),
    ...(joining ? [] : SHARED).map((key) =>
      rule(key.endsWith('/') ? 'key_prefix' : 'key', `${prefix}/${key}`, 'write'),
    ),
    rule('node', node, 'write'),
    rule('node_prefix', '', 'read'),
    rule('service', 'manager', 'write'),
    rule('service_prefix', '', 'read'),
    rule('agent', node, 'write'),
    rule('agent_prefix', '', 'read'),
    'operator = "read"',
  ].join('\n');
}

const policyName = (node: string): string => `cloudify-node-${node}`;
const description = (node: string): string => `cloudify node ${node}`;

/** Consul's own policy, the same everywhere. */
const GLOBAL_MANAGEMENT = '00000000-0000-0000-0000-000000000001';
const MANAGEMENT = 'cloudify management';
/** Ours, and what Consul calls the one from its configuration, before 1.14 and since. */
const OWN_MANAGEMENT = [MANAGEMENT, 'Master Token', 'Initial Management Token'];

type Row = Record<string, unknown>;
type Rows = { kind: 'ok'; rows: Row[] } | Unknown;

export class ConsulAcl {
  readonly #transport: ConsulTransport;

  constructor(transport: ConsulTransport) {
    this.#transport = transport;
  }

  /**
   * Makes the node's policy and the token whose secret is `secret` (a UUID). Idempotent; an earlier token of
   * the same node with another secret is revoked. A policy that differs is brought up to date. `joining`:
   * until `setNodePolicy` makes it a member's.
   */
  async createNodeToken(
    node: string,
    prefix: string,
    secret: string,
    { joining = false, ...options }: CallOptions & { joining?: boolean } = {},
  ): Promise<Done | Unknown> {
    const policy = await this.#ensurePolicy(policyName(node), nodeRules(node, prefix, joining), options);
    if (policy.kind === 'unknown') return policy;
    const known = await this.#list('/v1/acl/tokens', options);
    if (known.kind === 'unknown') return known;
    for (const token of known.rows.filter((row) => row.Description === description(node))) {
      const full = await this.#row(`/v1/acl/token/${String(token.AccessorID)}`, options);
      if (full.kind === 'unknown') return full;
      if (full.rows[0]?.SecretID === secret) return { kind: 'ok' };
      const gone = await this.#delete(`/v1/acl/token/${String(token.AccessorID)}`, options);
      if (gone.kind === 'unknown') return gone;
    }
    return this.#put(
      '/v1/acl/token',
      { SecretID: secret, Description: description(node), Policies: [{ Name: policyName(node) }] },
      options,
    );
  }

  /**
   * Makes the node's policy a member's of this version: one that was made by an earlier version allows more,
   * one of a manager that joins less. Idempotent.
   */
  setNodePolicy(node: string, prefix: string, options: CallOptions = {}): Promise<Done | Unknown> {
    return this.#ensurePolicy(policyName(node), nodeRules(node, prefix), options);
  }

  /** Revokes every token of the node and its policy. Idempotent. */
  async revokeNodeToken(node: string, options: CallOptions = {}): Promise<Done | Unknown> {
    for (const [list, one, id, isIts] of [
      ['tokens', 'token', 'AccessorID', (row: Row) => row.Description === description(node)],
      ['policies', 'policy', 'ID', (row: Row) => row.Name === policyName(node)],
    ] as const) {
      const known = await this.#list(`/v1/acl/${list}`, options);
      if (known.kind === 'unknown') return known;
      for (const row of known.rows.filter(isIts)) {
        const gone = await this.#delete(`/v1/acl/${one}/${String(row[id])}`, options);
        if (gone.kind === 'unknown') return gone;
      }
    }
    return { kind: 'ok' };
  }

  /** Makes a management token whose secret is `secret` (a UUID). Idempotent. */
  async createManagementToken(secret: string, options: CallOptions = {}): Promise<Done | Unknown> {
    const known = await this.#managementTokens(options);
    if (known.kind === 'unknown') return known;
    if (known.rows.some((row) => row.SecretID === secret)) return { kind: 'ok' };
    const body = { SecretID: secret, Description: MANAGEMENT, Policies: [{ ID: GLOBAL_MANAGEMENT }] };
    return this.#put('/v1/acl/token', body, options);
  }

  /**
   * Revokes every management token of the cluster's own but the one whose secret is `keep`, with which this
   * is called. Those that somebody else made stay. `configured`: those alone that Consul made of its
   * configuration. Idempotent.
   */
  async revokeManagementTokens(
    keep: string,
    { configured = false, ...options }: CallOptions & { configured?: boolean } = {},
  ): Promise<Done | Unknown> {
    const known = await this.#managementTokens(options);
    if (known.kind === 'unknown') return known;
    for (const row of known.rows.filter(
      (each) => each.SecretID !== keep && !(configured && each.Description === MANAGEMENT),
    )) {
      const gone = await this.#delete(`/v1/acl/token/${String(row.AccessorID)}`, options);
      if (gone.kind === 'unknown') return gone;
    }
    return { kind: 'ok' };
  }

  /** With their secrets, which the list does not show. */
  async #managementTokens(options: CallOptions): Promise<Rows> {
    const known = await this.#list('/v1/acl/tokens', options);
    if (known.kind === 'unknown') return known;
    const rows: Row[] = [];
    for (const token of known.rows.filter((row) => OWN_MANAGEMENT.includes(String(row.Description)))) {
      const full = await this.#row(`/v1/acl/token/${String(token.AccessorID)}`, options);
      if (full.kind === 'unknown') return full;
      rows.push(...full.rows.filter(isManagement));
    }
    return { kind: 'ok', rows };
  }

  async #ensurePolicy(name: string, rules: string, options: CallOptions): Promise<Done | Unknown> {
    const known = await this.#list('/v1/acl/policies', options);
    if (known.kind === 'unknown') return known;
    const found = known.rows.find((row) => row.Name === name);
    if (found === undefined) return this.#put('/v1/acl/policy', { Name: name, Rules: rules }, options);
    const path = `/v1/acl/policy/${String(found.ID)}`;
    const full = await this.#row(path, options);
    if (full.kind === 'unknown') return full;
    if (full.rows[0]?.Rules === rules) return { kind: 'ok' };
    return this.#put(path, { Name: name, Rules: rules }, options);
  }

  async #list(path: string, options: CallOptions): Promise<Rows> {
    const reply = await this.#transport.call({ method: 'GET', path }, options);
    if (reply.kind === 'unknown') return reply;
    const rows = reply.status === 200 ? parse(reply) : undefined;
    return Array.isArray(rows) ? { kind: 'ok', rows: rows as Row[] } : unexpected(reply, false);
  }

  /** One object as a list of one; an empty list when it is gone. */
  async #row(path: string, options: CallOptions): Promise<Rows> {
    const reply = await this.#transport.call({ method: 'GET', path }, options);
    if (reply.kind === 'unknown') return reply;
    if (isAbsent(reply)) return { kind: 'ok', rows: [] };
    const row = reply.status === 200 ? parse(reply) : undefined;
    return typeof row === 'object' && row !== null
      ? { kind: 'ok', rows: [row as Row] }
      : unexpected(reply, false);
  }

  #put(path: string, body: Row, options: CallOptions): Promise<Done | Unknown> {
    return this.#command({ method: 'PUT', path, body: JSON.stringify(body) }, options);
  }

  #delete(path: string, options: CallOptions): Promise<Done | Unknown> {
    return this.#command({ method: 'DELETE', path }, options);
  }

  async #command(call: Call, options: CallOptions): Promise<Done | Unknown> {
    const reply = await this.#transport.call(call, options);
    if (reply.kind === 'unknown') return reply;
    return reply.status === 200 || (call.method === 'DELETE' && isAbsent(reply))
      ? { kind: 'ok' }
      : unexpected(reply, true);
  }
}

const isManagement = (row: Row): boolean =>
  Array.isArray(row.Policies) && row.Policies.some((policy: Row) => policy?.ID === GLOBAL_MANAGEMENT);

/** Consul 1.8 answers 403 `ACL not found` for a token that is not there. */
const isAbsent = (reply: Reply): boolean =>
  reply.status === 404 || (reply.status === 403 && /ACL not found/i.test(reply.body));
