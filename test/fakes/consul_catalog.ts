/** Services, members and Raft's configuration in memory. TTL checks expire by the clock that is given. */
import type { CallOptions, Done, Unknown } from '../../agent/consul/port.ts';
import type {
  AgentSelf,
  AutopilotSettings,
  CheckStatus,
  ConsulCatalog,
  HealthCheck,
  RaftServer,
  SerfMember,
  ServiceInstance,
  ServiceRegistration,
  Value,
} from '../../agent/consul/port_catalog.ts';
import type { FakeFaults } from './consul_faults.ts';

type Check = {
  id: string;
  name: string;
  ttlMs: number;
  status: CheckStatus;
  output: string;
  updatedAt: number;
};
type Service = { registration: ServiceRegistration; checks: Map<string, Check> };

export class FakeCatalogState {
  readonly services = new Map<string, Map<string, Service>>();
  readonly now: () => number;
  members: SerfMember[];
  raft: RaftServer[];
  autopilot: AutopilotSettings = { cleanupDeadServers: true, serverStabilizationMs: 10_000 };

  constructor(nodes: readonly string[], now: () => number) {
    this.now = now;
    const place = nodes.map((name, i) => ({ name, address: `192.0.2.${i + 1}`, nodeId: `id-${name}` }));
    this.members = place.map((node) => ({ ...node, status: 'alive', server: true }));
    this.raft = place.map((node, i) => ({
      id: node.nodeId,
      node: node.name,
      address: `${node.address}:8300`,
      leader: i === 0,
      voter: true,
    }));
    for (const name of nodes) this.services.set(name, new Map());
  }
}

export class FakeCatalog implements ConsulCatalog {
  readonly #state: FakeCatalogState;
  readonly #node: string;
  readonly #faults: FakeFaults;

  constructor(state: FakeCatalogState, node: string, faults: FakeFaults) {
    this.#state = state;
    this.#node = node;
    this.#faults = faults;
  }

  registerService(service: ServiceRegistration, options: CallOptions = {}): Promise<Done | Unknown> {
    return this.#faults.carryOut(true, options, () => {
      const before = this.#mine().get(service.id)?.checks;
      const checks = service.checks.map((check): [string, Check] => {
        const kept = before?.get(check.id);
        const status = kept?.status ?? check.status ?? 'critical';
        const since = kept?.updatedAt ?? this.#state.now();
        const { id, name, ttlMs } = check;
        return [id, { id, name, ttlMs, status, output: kept?.output ?? '', updatedAt: since }];
      });
      this.#mine().set(service.id, { registration: service, checks: new Map(checks) });
      return { kind: 'ok' };
    });
  }

  deregisterService(id: string, options: CallOptions = {}): Promise<Done | Unknown> {
    return this.#faults.carryOut(true, options, () => {
      this.#mine().delete(id);
      return { kind: 'ok' };
    });
  }

  updateTtl(
    checkId: string,
    status: CheckStatus,
    output: string,
    options: CallOptions = {},
  ): Promise<Done | { kind: 'absent' } | Unknown> {
    return this.#faults.carryOut(true, options, () => {
      for (const service of this.#mine().values()) {
        const check = service.checks.get(checkId);
        if (check === undefined) continue;
        Object.assign(check, { status, output, updatedAt: this.#state.now() });
        return { kind: 'ok' };
      }
      return { kind: 'absent' };
    });
  }

  serviceHealth(
    name: string,
    options: CallOptions = {},
  ): Promise<Value<readonly ServiceInstance[]> | Unknown> {
    return this.#value(options, () =>
      [...this.#state.services].flatMap(([node, services]) =>
        [...services.values()]
          .filter((service) => service.registration.name === name)
          .map((service) => this.#instance(node, service)),
      ),
    );
  }

  members(options: CallOptions = {}): Promise<Value<readonly SerfMember[]> | Unknown> {
    return this.#value(options, () => [...this.#state.members]);
  }

  leader(options: CallOptions = {}): Promise<Value<string | undefined> | Unknown> {
    return this.#value(options, () => this.#state.raft.find((server) => server.leader)?.address);
  }

  peers(options: CallOptions = {}): Promise<Value<readonly string[]> | Unknown> {
    return this.#value(options, () => this.#state.raft.map((server) => server.address));
  }

  raftConfiguration(options: CallOptions = {}): Promise<Value<readonly RaftServer[]> | Unknown> {
    return this.#value(options, () => [...this.#state.raft]);
  }

  removeRaftPeer(id: string, options: CallOptions = {}): Promise<Done | { kind: 'absent' } | Unknown> {
    return this.#faults.carryOut(true, options, () => {
      const left = this.#state.raft.filter((server) => server.id !== id);
      if (left.length === this.#state.raft.length) return { kind: 'absent' };
      this.#state.raft = left;
      return { kind: 'ok' };
    });
  }

  forceLeave(
    node: string,
    options: CallOptions & { readonly prune?: boolean } = {},
  ): Promise<Done | { kind: 'absent' } | Unknown> {
    return this.#faults.carryOut(true, options, () => {
      const member = this.#state.members.find((other) => other.name === node);
      if (member === undefined) return { kind: 'absent' };
      const others = this.#state.members.filter((other) => other !== member);
      this.#state.members = options.prune === true ? others : [...others, { ...member, status: 'left' }];
      return { kind: 'ok' };
    });
  }

  autopilot(options: CallOptions = {}): Promise<Value<AutopilotSettings> | Unknown> {
    return this.#value(options, () => this.#state.autopilot);
  }

  ensureAutopilot(
    settings: AutopilotSettings,
    options: CallOptions = {},
  ): Promise<{ kind: 'ok'; changed: boolean } | { kind: 'conflict' } | Unknown> {
    return this.#faults.carryOut(true, options, () => {
      const changed = JSON.stringify(this.#state.autopilot) !== JSON.stringify(settings);
      this.#state.autopilot = settings;
      return { kind: 'ok', changed };
    });
  }

  self(options: CallOptions = {}): Promise<Value<AgentSelf> | Unknown> {
    return this.#value(options, () => ({
      nodeName: this.#node,
      nodeId: `id-${this.#node}`,
      datacenter: 'cloudify',
      version: '1.8.7',
      server: true,
    }));
  }

  #value<T>(options: CallOptions, look: () => T): Promise<Value<T> | Unknown> {
    return this.#faults.carryOut(false, options, () => ({ kind: 'ok', value: look() }) as const);
  }

  #mine(): Map<string, Service> {
    const services = this.#state.services.get(this.#node);
    if (services === undefined) throw new Error(`the fake has no node ${this.#node}`);
    return services;
  }

  #instance(node: string, { registration, checks }: Service): ServiceInstance {
    const nodeAddress = this.#state.members.find((member) => member.name === node)?.address ?? '';
    const serf = { id: 'serfHealth', name: 'Serf Health Status', serviceId: '', output: '' };
    const own = [...checks.values()].map((check): HealthCheck => {
      const expired = this.#state.now() - check.updatedAt >= check.ttlMs;
      return {
        id: check.id,
        name: check.name,
        serviceId: registration.id,
        status: expired ? 'critical' : check.status,
        output: expired ? `TTL expired (last output before timeout follows): ${check.output}` : check.output,
      };
    });
    return {
      node,
      nodeAddress,
      id: registration.id,
      name: registration.name,
      address: registration.address,
      port: registration.port ?? 0,
      tags: registration.tags,
      checks: [{ ...serf, status: 'passing' }, ...own],
    };
  }
}
