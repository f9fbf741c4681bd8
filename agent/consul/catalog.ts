/** Services, members and operator calls over HTTP. The contract is in port.ts. */
import { parse, readCall, unexpected } from './answers.ts';
import { ensureAutopilot, readAutopilot } from './autopilot.ts';
import type { CallOptions, Done, ReadOptions, Unknown } from './port.ts';
import type {
  AgentSelf,
  AutopilotSettings,
  CheckStatus,
  ConsulCatalog,
  RaftServer,
  SerfMember,
  ServiceInstance,
  ServiceRegistration,
  Value,
} from './port_catalog.ts';
import type { Call, ConsulTransport } from './transport.ts';
import { instanceOf, raftServersOf, registrationOf, serfMemberOf, type Wire } from './wire.ts';

const LOCAL = { target: 'local' } as const;

export class HttpCatalog implements ConsulCatalog {
  readonly #transport: ConsulTransport;

  constructor(transport: ConsulTransport) {
    this.#transport = transport;
  }

  registerService(service: ServiceRegistration, options: CallOptions = {}): Promise<Done | Unknown> {
    const path = '/v1/agent/service/register?replace-existing-checks';
    const body = JSON.stringify(registrationOf(service));
    return this.#command({ method: 'PUT', path, body }, { ...options, ...LOCAL });
  }

  deregisterService(id: string, options: CallOptions = {}): Promise<Done | Unknown> {
    const path = `/v1/agent/service/deregister/${encodeURIComponent(id)}`;
    return this.#command({ method: 'PUT', path }, { ...options, ...LOCAL });
  }

  updateTtl(
    checkId: string,
    status: CheckStatus,
    output: string,
    options: CallOptions = {},
  ): Promise<Done | { kind: 'absent' } | Unknown> {
    const path = `/v1/agent/check/update/${encodeURIComponent(checkId)}`;
    const body = JSON.stringify({ Status: status, Output: output });
    return this.#commandOn(
      { method: 'PUT', path, body, repeatable: true },
      { ...options, ...LOCAL },
      /does not have associated TTL|unknown check/i,
    );
  }

  serviceHealth(
    name: string,
    options: ReadOptions = {},
  ): Promise<Value<readonly ServiceInstance[]> | Unknown> {
    return this.#list(`/v1/health/service/${encodeURIComponent(name)}`, options, instanceOf);
  }

  members(options: CallOptions = {}): Promise<Value<readonly SerfMember[]> | Unknown> {
    return this.#list('/v1/agent/members', { ...options, ...LOCAL }, serfMemberOf);
  }

  leader(options: CallOptions = {}): Promise<Value<string | undefined> | Unknown> {
    return this.#value('/v1/status/leader', options, (json) =>
      typeof json === 'string' ? { value: json === '' ? undefined : json } : undefined,
    );
  }

  peers(options: CallOptions = {}): Promise<Value<readonly string[]> | Unknown> {
    return this.#list('/v1/status/peers', options, (row) => (typeof row === 'string' ? row : undefined));
  }

  raftConfiguration(options: ReadOptions = {}): Promise<Value<readonly RaftServer[]> | Unknown> {
    return this.#value('/v1/operator/raft/configuration', options, (json) => {
      const value = raftServersOf(json);
      return value === undefined ? undefined : { value };
    });
  }

  removeRaftPeer(id: string, options: CallOptions = {}): Promise<Done | { kind: 'absent' } | Unknown> {
    const path = `/v1/operator/raft/peer?id=${encodeURIComponent(id)}`;
    return this.#commandOn({ method: 'DELETE', path }, options, /was not found in the Raft configuration/);
  }

  forceLeave(
    node: string,
    options: CallOptions & { readonly prune?: boolean } = {},
  ): Promise<Done | { kind: 'absent' } | Unknown> {
    const path = `/v1/agent/force-leave/${encodeURIComponent(node)}${options.prune === true ? '?prune' : ''}`;
    return this.#commandOn({ method: 'PUT', path }, { ...options, ...LOCAL }, /No node found with name/);
  }

  autopilot(options: ReadOptions = {}): Promise<Value<AutopilotSettings> | Unknown> {
    return readAutopilot(this.#transport, options);
  }

  ensureAutopilot(
    settings: AutopilotSettings,
    options: CallOptions = {},
  ): Promise<{ kind: 'ok'; changed: boolean } | { kind: 'conflict' } | Unknown> {
    return ensureAutopilot(this.#transport, settings, options);
  }

  self(options: CallOptions = {}): Promise<Value<AgentSelf> | Unknown> {
    return this.#value('/v1/agent/self', { ...options, ...LOCAL }, (json) => {
      const config = (json as Wire | undefined)?.Config as Wire | undefined;
      if (typeof config?.NodeName !== 'string') return undefined;
      const value: AgentSelf = {
        nodeName: config.NodeName,
        nodeId: String(config.NodeID ?? ''),
        datacenter: String(config.Datacenter ?? ''),
        version: String(config.Version ?? ''),
        server: config.Server === true,
      };
      return { value };
    });
  }

  /** A call that answers 200 and nothing. */
  async #command(call: Call, options: CallOptions): Promise<Done | Unknown> {
    const reply = await this.#transport.call(call, options);
    if (reply.kind === 'unknown') return reply;
    return reply.status === 200 ? { kind: 'ok' } : unexpected(reply, true);
  }

  /** The same on something that may not exist: Consul says so with 404, or with 500 and a sentence. */
  async #commandOn(
    call: Call,
    options: CallOptions,
    absence: RegExp,
  ): Promise<Done | { kind: 'absent' } | Unknown> {
    const done = await this.#command(call, options);
    if (done.kind === 'ok') return done;
    const { code, status, said = '' } = done.cause;
    return status === 404 || (code === 'server_error' && absence.test(said)) ? { kind: 'absent' } : done;
  }

  async #value<T>(
    path: string,
    options: ReadOptions,
    read: (json: unknown) => { value: T } | undefined,
  ): Promise<Value<T> | Unknown> {
    const reply = await this.#transport.call(readCall(path, options), options);
    if (reply.kind === 'unknown') return reply;
    const found = reply.status === 200 ? read(parse(reply)) : undefined;
    return found === undefined ? unexpected(reply, false) : { kind: 'ok', value: found.value };
  }

  /** An array; one row that cannot be read makes the whole answer unknown. */
  #list<T>(
    path: string,
    options: ReadOptions,
    row: (json: unknown) => T | undefined,
  ): Promise<Value<readonly T[]> | Unknown> {
    return this.#value(path, options, (json) => {
      if (!Array.isArray(json)) return undefined;
      const value: T[] = [];
      for (const item of json) {
        const read = row(item);
        if (read === undefined) return undefined;
        value.push(read);
      }
      return { value };
    });
  }
}
