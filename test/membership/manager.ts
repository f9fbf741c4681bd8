/**
 * A manager with nothing real about it but the agent's files, and the cluster that it joins: what outlives a
 * process of the agent.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Admission, Enrolled } from '../../agent/api/types.ts';
import { folderConfig, makeConfig, type NodeConfig, requireNode } from '../../agent/config/index.ts';
import { AgentError } from '../../agent/errors.ts';
import { enteringOf } from '../../agent/membership/entering.ts';
import { joinCluster } from '../../agent/membership/join.ts';
import { admitRequestOf, type JoinCalls } from '../../agent/membership/join_calls.ts';
import { keptOf, type OwnCore } from '../../agent/membership/own_core.ts';
import { notAdmitted } from '../../agent/membership/reservation.ts';
import type { Steps } from '../../agent/membership/tracker.ts';
import type { JoinSecurity } from '../../agent/node/access.ts';
import type { Member } from '../../agent/node/member.ts';
import type { Parts } from '../../agent/node/parts.ts';
import { liveSecurity } from '../../agent/security/live.ts';
import { securityStore } from '../../agent/security/store.ts';
import { durableStore } from '../../agent/state/identity.ts';
import { FakeConsul } from '../fakes/consul.ts';
import { hurriedTime, type Mishap, Outside } from './outside.ts';

export const SYSTEM = '7007';
const done = { kind: 'done' } as const;

/** Everything that a join or a start could change here, in words that two states are compared by. */
export type State = {
  taken: boolean;
  database: string | null;
  running: boolean;
  adopted: boolean;
  consul: 'none' | 'data' | 'voter';
  bootstraps: number;
  files: 'none' | 'set up';
  doors: string[];
};

export class Manager {
  readonly dir = mkdtempSync(join(tmpdir(), 'manager-'));
  readonly config: NodeConfig;
  readonly state: State;
  /** The cluster that it joins. */
  readonly cluster = { reserved: false, nodes: [] as string[], admissions: 0, enrolments: 0 };
  /** Its own Consul, as a founder. */
  readonly consul = new FakeConsul();
  /** What must never happen. */
  readonly wrong: string[] = [];
  /** Gossip keys that Consul was started with. */
  readonly keys = new Set<string | undefined>();
  /** Replaced by a test: what the cluster says to an enrolment. */
  enrolled: () => Enrolled = () => ({});
  refuses: { admission?: AgentError; enrolment?: AgentError; copy?: string } = {};
  opens = true;
  unwipable: string | undefined;
  #copies = 0;

  constructor({ database = null as string | null, tls = false } = {}) {
    this.config = requireNode(
      makeConfig(
        folderConfig(
          this.dir,
          { node_name: 'm2', host_ip: '127.0.0.12' },
          { api: { tls }, consul: { tls }, files: { enabled: false }, postgres: { bin_dir: '/nowhere' } },
        ),
      ),
    );
    for (const dir of [this.config.paths.state_dir, this.config.paths.ssl_dir])
      mkdirSync(dir, { recursive: true });
    this.state = {
      ...{ taken: false, database, running: database !== null, adopted: false, consul: 'none' },
      ...{ bootstraps: 0, files: 'none', doors: [] },
    };
  }

  /** For a `finally`. */
  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }

  kept = () => keptOf(this.config);

  /** What is here now, files of the agent's among it. */
  look() {
    const { memberships, joining } = this.kept();
    const membership = memberships.load();
    return {
      ...structuredClone(this.state),
      mark: joining.load() !== undefined,
      membership: membership && { entered: membership.entered, systemId: membership.systemId },
      secrets: securityStore(this.config).secrets() !== undefined,
      durable: durableStore(this.config).load().clusterId,
    };
  }

  parts(outside: Outside): Parts {
    const { state } = this;
    const security = liveSecurity(this.config);
    const set = (over: Partial<State>): void => void Object.assign(state, over);
    const pg = {
      facts: async () => ({ data: state.database === null ? 'empty' : 'ok', systemId: state.database }),
      preflight: async () => [],
      rehearse: async () => done,
      inspect: async () => ({ empty: state.database === null, version: 15, systemId: state.database }),
      setIdentity: async () => {},
      basebackup: async () => {
        if (this.refuses.copy !== undefined) return { kind: 'failed', why: this.refuses.copy };
        if (state.database !== null) this.wrong.push('a copy over a database');
        state.database = SYSTEM;
        this.#copies += 1;
        return done;
      },
      wipe: async () => {
        if (this.unwipable !== undefined) return { kind: 'failed', why: this.unwipable };
        if (this.cluster.nodes.includes('m2')) this.wrong.push('a member was wiped');
        if (state.database !== null && state.database !== SYSTEM) this.wrong.push("somebody's own was wiped");
        if (state.database !== null) this.#copies -= 1;
        if (this.#copies < 0) this.wrong.push('wiped twice');
        state.database = null;
        return done;
      },
      stop: async () => {
        state.running = false;
        return { kind: 'stopped' };
      },
      adopt: async () => {
        if (state.running) this.wrong.push('adopted while it runs');
        state.adopted = true;
        return done;
      },
      setCertificates: async () => done,
    };
    const consul = {
      start: async ({ bootstrap }: { bootstrap: boolean }) => {
        this.keys.add(security.current()?.secrets.gossipKey);
        if (bootstrap) state.bootstraps = 1;
        if (state.consul === 'none') state.consul = 'data';
      },
      hasData: () => state.consul !== 'none',
      waitLeader: async () => set({ consul: 'voter' }),
      waitVoter: async () => set({ consul: 'voter' }),
      leave: async () => {
        if (state.consul === 'voter') state.consul = 'data';
        return true;
      },
      wipe: async () => {
        if (state.consul === 'voter') this.wrong.push('a voter of Raft was wiped');
        state.consul = 'none';
      },
    };
    const files = {
      enabled: true,
      deviceId: async () => 'DEVICE',
      start: async () => set({ files: 'set up' }),
      follow: async () => done,
      facts: () => ({ state: 'complete', needItems: 0, needBytes: 0 }),
      wipe: async () => set({ files: 'none' }),
    };
    const machine = {
      take: async () => set({ taken: true }),
      give: async () => {
        state.taken = false;
        state.doors = [];
      },
    };
    const door = { name: 'firewall', letIn: async () => set({ doors: ['m1'] }) };
    return {
      config: this.config,
      security,
      reach: async () => {},
      pg: outside.wrap('pg', pg, Object.keys(pg)),
      consul: outside.wrap('consul', consul, ['start', 'waitLeader', 'waitVoter', 'leave', 'wipe']),
      files: outside.wrap('files', files, ['deviceId', 'start', 'follow', 'wipe']),
      machine: outside.wrap('machine', machine, ['take', 'give']),
      doors: [outside.wrap('door', door, ['letIn'])],
    } as unknown as Parts;
  }

  /** One process of the agent. */
  agent(at?: { call: number; mishap: Mishap }) {
    const outside = new Outside(at);
    const parts = this.parts(outside);
    const real = this.kept();
    const kept = {
      memberships: outside.wrap('membership', real.memberships, ['forget'], { sync: true }),
      joining: outside.wrap('mark', real.joining, ['save', 'forget'], { sync: true }),
    };
    let running = false;
    const made = () => this.#member();
    const core: OwnCore = {
      // As the daemon does it.
      run: async (_parts, membership, clone) => {
        const store = durableStore(this.config);
        const { clusterId, incarnation } = membership;
        store.save({ ...store.load(), ...(clone === undefined ? {} : { clone }), clusterId, incarnation });
        real.memberships.save(membership);
        running = true;
      },
      end: async () => {
        running = false;
      },
      get member() {
        return running ? made() : null;
      },
      entered() {
        const membership = real.memberships.load();
        if (membership !== undefined) real.memberships.save({ ...membership, entered: true });
      },
    };
    const calls = outside.wrap('calls', this.#calls(), ['admit', 'enrol']);
    const kv = outside.wrap('kv', this.consul.client().kv, ['put', 'get', 'recurse'], {
      unknown: { kind: 'unknown' },
    });
    const sworn = outside.wrap('core', outside.wrap('core', core, ['run', 'end']), ['entered'], {
      sync: true,
    });
    const log = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} };
    const entering = enteringOf(
      { core: sworn, kept, log: log as never },
      { time: hurriedTime(), calls: () => calls, kv: () => kv },
    );
    const shown: string[] = [];
    const steps: Steps = {
      step(name, body) {
        shown.push(name);
        return body(() => {});
      },
    };
    /** Ends with the process. */
    const alive = async <T>(work: Promise<T>): Promise<T | Error> =>
      await Promise.race([
        work.catch((thrown: Error) => thrown),
        outside.died.then(() => new Error('the process died')),
      ]);
    return {
      outside,
      shown,
      entering,
      /** As `agent run` begins. */
      boot: () =>
        alive(
          (async () => {
            const found = entering.found();
            if (found.kind === 'interrupted') await entering.clear(parts);
            if (found.kind === 'member') await entering.resume(parts, found.membership);
            return found.kind;
          })(),
        ),
      join: () =>
        alive(
          (async () => {
            entering.refuseUnfinished();
            await entering.refuseUnlessEmpty(parts);
            await entering.join(parts, { addresses: ['10.0.0.1'] }, steps);
          })(),
        ),
      /** With security of the test's own. */
      joinWith: (security: JoinSecurity) =>
        alive(
          joinCluster(
            {
              ...{ parts, core: sworn, kept, log: log as never, calls, security, options: {} },
              ...{ addresses: ['10.0.0.1'], request: admitRequestOf(this.config), time: hurriedTime() },
            },
            steps,
          ),
        ),
      start: () => {
        entering.refuseUnfinished();
        return alive(entering.start(parts, {}, steps));
      },
    };
  }

  #member(): Member {
    const view = { active: { value: { node: 'm2' } } };
    const node = {
      db: { facts: { streaming: true } },
      fence: { state: this.opens ? 'open' : 'closed' },
      view,
      failures: { last: null },
    };
    return { node, last: () => null } as unknown as Member;
  }

  #calls(): JoinCalls {
    const { cluster } = this;
    return {
      admit: async () => {
        if (this.refuses.admission !== undefined) throw this.refuses.admission;
        cluster.reserved = true;
        cluster.admissions += 1;
        return admission;
      },
      enrol: async () => {
        if (this.refuses.enrolment !== undefined) throw this.refuses.enrolment;
        if (!cluster.reserved && !cluster.nodes.includes('m2')) throw notAdmitted('m2');
        if (this.state.consul !== 'voter') this.wrong.push('entered before its vote counts');
        if (this.state.database !== SYSTEM) this.wrong.push('entered without the database');
        if (!cluster.nodes.includes('m2')) cluster.nodes.push('m2');
        cluster.reserved = false;
        cluster.enrolments += 1;
        return this.enrolled();
      },
      keep: async () => {},
    };
  }
}

const admission: Admission = {
  ...{ clusterId: 'c', incarnation: 1, systemId: SYSTEM, secret: 's', consulServers: ['10.0.0.1'] },
  gossipKey: null,
  active: { node: 'm1', hostIp: '10.0.0.1', postgresPort: 5432 },
  members: {},
};

export const refusal = (code: string): AgentError =>
  new AgentError({ class: 'operator', code, message: code });
