/**
 * The third interface to Consul: services, members and operator calls. For what outcomes mean see port.ts.
 */
import type { CallOptions, Done, ReadOptions, Unknown } from './port.ts';

export type CheckStatus = 'passing' | 'warning' | 'critical';

export interface TtlCheck {
  readonly id: string;
  readonly name: string;
  readonly ttlMs: number;
  /** Until the first update. Default critical. */
  readonly status?: CheckStatus;
}

export interface ServiceRegistration {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly port?: number;
  readonly tags: readonly string[];
  readonly checks: readonly TtlCheck[];
}

export interface HealthCheck {
  readonly id: string;
  readonly name: string;
  /** Empty for a check of the node itself, such as serfHealth. */
  readonly serviceId: string;
  readonly status: CheckStatus;
  readonly output: string;
}

export interface ServiceInstance {
  readonly node: string;
  readonly nodeAddress: string;
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly tags: readonly string[];
  readonly checks: readonly HealthCheck[];
}

export interface SerfMember {
  readonly name: string;
  readonly address: string;
  /** Serf's view from the agent that was asked. */
  readonly status: 'none' | 'alive' | 'leaving' | 'left' | 'failed';
  readonly server: boolean;
  readonly nodeId: string;
}

export interface RaftServer {
  readonly id: string;
  readonly node: string;
  /** IP:port. */
  readonly address: string;
  readonly leader: boolean;
  readonly voter: boolean;
}

export interface AutopilotSettings {
  readonly cleanupDeadServers: boolean;
  readonly serverStabilizationMs: number;
}

export interface AgentSelf {
  readonly nodeName: string;
  readonly nodeId: string;
  readonly datacenter: string;
  readonly version: string;
  readonly server: boolean;
}

export interface Value<T> {
  readonly kind: 'ok';
  readonly value: T;
}

/** Services, members and operator calls. What speaks of the agent itself goes to the local one only. */
export interface ConsulCatalog {
  /**
   * Idempotent; replaces tags and checks. Checks never deregister their service: a node down stays listed.
   */
  registerService(service: ServiceRegistration, options?: CallOptions): Promise<Done | Unknown>;
  /** Idempotent. */
  deregisterService(id: string, options?: CallOptions): Promise<Done | Unknown>;
  /** `absent`: the local agent does not know the check (a new data folder): register the service again. */
  updateTtl(
    checkId: string,
    status: CheckStatus,
    output: string,
    options?: CallOptions,
  ): Promise<Done | { kind: 'absent' } | Unknown>;
  /** Every instance with its checks, and those of its node. */
  serviceHealth(name: string, options?: ReadOptions): Promise<Value<readonly ServiceInstance[]> | Unknown>;
  members(options?: CallOptions): Promise<Value<readonly SerfMember[]> | Unknown>;
  /** Address of the Raft leader as the asked server sees it; undefined when it sees none. */
  leader(options?: CallOptions): Promise<Value<string | undefined> | Unknown>;
  /** Addresses in the Raft configuration. */
  peers(options?: CallOptions): Promise<Value<readonly string[]> | Unknown>;
  raftConfiguration(options?: ReadOptions): Promise<Value<readonly RaftServer[]> | Unknown>;
  /** `absent`: no such server in the Raft configuration (also the answer to a repetition). */
  removeRaftPeer(id: string, options?: CallOptions): Promise<Done | { kind: 'absent' } | Unknown>;
  /** `absent`: Serf knows no such node. With `prune` it vanishes from the member list. */
  forceLeave(
    node: string,
    options?: CallOptions & { readonly prune?: boolean },
  ): Promise<Done | { kind: 'absent' } | Unknown>;
  autopilot(options?: ReadOptions): Promise<Value<AutopilotSettings> | Unknown>;
  /**
   * Reads, writes by compare-and-set what differs, reads back. `ok` only when the settings stand; `changed`
   * says whether a write was needed. Idempotent: repeat after `conflict` and `unknown`.
   */
  ensureAutopilot(
    settings: AutopilotSettings,
    options?: CallOptions,
  ): Promise<{ kind: 'ok'; changed: boolean } | { kind: 'conflict' } | Unknown>;
  self(options?: CallOptions): Promise<Value<AgentSelf> | Unknown>;
}
