/**
 * Each call of the API that is refused, before it has changed anything: in Consul, on other nodes, in memory
 * or on the disk.
 */
import { afterAll, beforeEach, describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { AgentApi } from '../../agent/api/types.ts';
import { type ConfigInput, folderConfig, loadConfig } from '../../agent/config/index.ts';
import { Agent } from '../../agent/daemon/agent.ts';
import { createApi } from '../../agent/daemon/api.ts';
import { keptOf } from '../../agent/membership/own_core.ts';
import { createTracker } from '../../agent/membership/tracker.ts';
import { node, stateRecord } from '../core/build.ts';
import { Stage } from '../core/stage.ts';

const dir = mkdtempSync(join(tmpdir(), 'refusals-'));
afterAll(() => rmSync(dir, { recursive: true }));

/** What reached the outside. */
let did: string[] = [];
beforeEach(() => {
  did = [];
});

type Over = { name?: string; answers?: { kind: string }; removed?: boolean; members?: object | null };

function api({ name = 'a', answers = { kind: 'ok' }, removed = false, members = null }: Over = {}) {
  const stage = new Stage();
  stage.store.put('config', {
    schema: 1,
    version: 1,
    paused: false,
    pausedUntil: null,
    synchronousMode: 'quorum',
  });
  stage.store.put('active', { schema: 1, node: 'a', epoch: 5, hostIp: '10.0.0.a', timeline: 3, since: 'x' });
  const n = node(name, stage);
  stage.sees(n);
  const kv = {
    put: async (key: string) => {
      did.push(`put ${key}`);
      return answers;
    },
  };
  const cluster = {
    ...{ node: n, consul: { kv, catalog: {} }, memberKv: kv, last: () => ({ facts: { removed } }) },
    peers: {
      reclone: async (other: string) => {
        did.push(`reclone ${other}`);
        return null;
      },
    },
  };
  const tracker = createTracker();
  const agent = { member: cluster, members, parts: null, tracker, prefix: () => 'c/' } as unknown as Agent;
  return { stage, n, tracker, api: createApi(agent), see: () => stage.sees(n) };
}

/** The refusal's code, whether it is thrown or comes later. */
async function codeOf(ask: () => unknown): Promise<string> {
  try {
    await ask();
  } catch (thrown) {
    return (thrown as { code?: string }).code ?? String(thrown);
  }
  return 'not refused';
}

const MEMBERS_ONLY: Record<string, (on: AgentApi) => unknown> = {
  history: (on) => on.history(),
  setActive: (on) => on.setActive('b', 1000, 'somebody'),
  pause: (on) => on.pause(null),
  resume: (on) => on.resume(),
  remove: (on) => on.remove('b'),
  lease: (on) => on.lease(),
  setLease: (on) => on.setLease({}, 'somebody'),
  updateNode: (on) => on.updateNode('b', { maintenance: true }),
  files: (on) => on.files(),
  acceptDeletions: (on) => on.acceptDeletions(),
  reinit: (on) => on.reinit('b'),
  wantReclone: (on) => on.wantReclone(),
  vote: (on) => on.vote({} as never),
  peerState: (on) => on.peerState(),
  agreeFailsafe: (on) => on.agreeFailsafe({} as never),
  lags: (on) => on.lags(),
  admit: (on) => on.admit({} as never),
  enrol: (on) => on.enrol('b'),
  keepReserved: (on) => on.keepReserved('b'),
};
const SECURED: Record<string, (on: AgentApi) => unknown> = {
  createToken: (on) => on.createToken(1000, 'somebody'),
  tokens: (on) => on.tokens(),
  revokeToken: (on) => on.revokeToken('x'),
  renewCertificates: (on) => on.renewCertificates(),
  renewAuthority: (on) => on.renewAuthority(false, 'somebody'),
};

describe('on a manager that is in no cluster', () => {
  const outside = createApi({
    member: null,
    members: null,
    parts: null,
    tracker: createTracker(),
  } as unknown as Agent);
  for (const [name, ask] of Object.entries({ ...MEMBERS_ONLY, ...SECURED }))
    test(name, async () => expect(await codeOf(() => ask(outside))).toBe('not_in_cluster'));
});

describe('on a node that was removed', () => {
  for (const [name, ask] of Object.entries(MEMBERS_ONLY))
    test(name, async () => {
      const { api: on } = api({ removed: true });
      expect([await codeOf(() => ask(on)), did]).toEqual(['removed_from_cluster', []]);
    });
});

describe('in a plain cluster', () => {
  for (const [name, ask] of Object.entries(SECURED))
    test(name, async () => {
      expect([await codeOf(() => ask(api().api)), did]).toEqual(['no_tls', []]);
    });
});

type Case = [what: string, code: string, ask: (made: ReturnType<typeof api>) => unknown, over?: Over];
const asks = (made: ReturnType<typeof api>, target = 'b') => made.api.setActive(target, 1000, 'somebody');
const request = (over: object = {}) => ({
  ...{ schema: 1, id: 'r', kind: 'switchover', target: 'c', epoch: 5, by: 'x', refused: null },
  expires: Date.now() + 60_000,
  ...over,
});
const cases: Case[] = [
  ['a switchover to nobody', 'unfit_target', (made) => asks(made, 'z')],
  ['to the active', 'unfit_target', (made) => asks(made, 'a')],
  [
    'to one in maintenance',
    'unfit_target',
    (made) => {
      const record = made.n.view?.nodes.b;
      made.stage.store.put('nodes/b', { ...record, options: { ...record?.options, maintenance: true } });
      made.see();
      return asks(made);
    },
  ],
  [
    'to one whose checks fail',
    'unfit_target',
    (made) => {
      made.stage.store.put('state/b', stateRecord('b', { failing: ['disk'] }));
      made.see();
      return asks(made);
    },
  ],
  [
    'to one that never said anything',
    'unfit_target',
    (made) => {
      made.stage.store.drop('state/b');
      made.see();
      return asks(made);
    },
  ],
  [
    'while the cluster is paused',
    'cluster_paused',
    (made) => {
      made.stage.store.put('config', { ...(made.n.view?.config?.value as object), paused: true });
      made.see();
      return asks(made);
    },
  ],
  [
    'while another is carried out',
    'request_pending',
    (made) => {
      made.stage.store.put('request', request());
      made.see();
      return asks(made);
    },
  ],
  [
    'before anything was read',
    'consul_unknown',
    (made) => {
      made.n.view = null;
      return asks(made);
    },
  ],
  [
    'a pause while Consul is silent',
    'consul_silent',
    (made) => {
      made.stage.now += 60_000;
      return made.api.pause(null);
    },
  ],
  [
    'before the settings were read',
    'consul_unknown',
    (made) => {
      made.stage.store.drop('config');
      made.see();
      return made.api.pause(null);
    },
  ],
  ['a copy for nobody', 'not_found', (made) => made.api.reinit('z')],
  ['for the active', 'node_is_active', (made) => made.api.reinit('a')],
  ['for another, by who is not active', 'not_cluster_master', (made) => made.api.reinit('c'), { name: 'b' }],
  [
    'by a member that does not hold the lease',
    'forbidden',
    (made) => made.api.wantReclone('c'),
    { name: 'b' },
  ],
  [
    'a removal by who is no active',
    'not_cluster_master',
    (made) => made.api.remove('b'),
    {
      members: {
        mayRemove: async () => {
          throw Object.assign(new Error(), { code: 'not_cluster_master' });
        },
      },
    },
  ],
  ['anything of members before they are there', 'consul_unknown', (made) => made.api.admit({} as never)],
];

describe('refused', () => {
  for (const [what, code, ask, over] of cases)
    test(what, async () => {
      const made = api(over);
      const wants = made.n.copy.wants;
      expect(await codeOf(() => ask(made))).toBe(code);
      expect([did, made.tracker.running(), made.n.copy.wants, made.stage.wakes]).toEqual([
        [],
        null,
        wants,
        0,
      ]);
    });
});

describe('what Consul did not take', () => {
  for (const [kind, code] of [
    ['conflict', 'request_pending'],
    ['unknown', 'consul_unknown'],
  ] as const)
    test(`a request: ${kind}`, async () => {
      const made = api({ answers: { kind } });
      expect([await codeOf(() => asks(made)), did]).toEqual([code, ['put c/request']]);
    });
  for (const kind of ['conflict', 'unknown'])
    test(`a pause: ${kind}`, async () => {
      const made = api({ answers: { kind } });
      expect([await codeOf(() => made.api.pause(1000)), did]).toEqual(['consul_unknown', ['put c/config']]);
    });
  test('a request that was refused, ran out or is of an earlier epoch stands in no way', async () => {
    for (const over of [{ refused: 'why' }, { expires: Date.now() - 1 }, { epoch: 4 }]) {
      const made = api();
      made.stage.store.put('request', request(over));
      made.see();
      expect(await codeOf(() => asks(made))).toBe('not refused');
    }
  });
});

describe('start and join', () => {
  /** Everything in the folder, by name and content. */
  const files = (path: string): Record<string, string> =>
    Object.fromEntries(
      readdirSync(path, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => [
          join(entry.parentPath, entry.name),
          readFileSync(join(entry.parentPath, entry.name), 'utf8'),
        ]),
    );
  let count = 0;
  function fresh() {
    const own = join(dir, `${++count}`);
    mkdirSync(join(own, 'agent'), { recursive: true });
    const path = join(own, 'agent.yaml');
    const input: ConfigInput = folderConfig(own, { node_name: 'm1', host_ip: '127.0.0.11' });
    writeFileSync(path, stringify(input));
    const { config } = loadConfig(path);
    mkdirSync(config.paths.state_dir, { recursive: true });
    const driver = new Proxy({}, { get: (_, key) => () => void did.push(`driver ${String(key)}`) });
    const log = { for: () => ({ warn() {}, error() {}, info() {}, debug() {} }), ring: {} };
    const given = {
      input,
      config,
      driver,
      log,
      listen: async () => void did.push('listen'),
      relisten: async () => {},
    };
    return { own, path, config, agent: new Agent(given as never) };
  }

  for (const kind of ['start', 'join'] as const) {
    const ask = (agent: Agent, options: object = {}) =>
      kind === 'start' ? agent.start(options) : agent.join({ addresses: ['10.0.0.1'], ...options });

    test(`${kind} is refused after a join that was not undone`, async () => {
      const { own, config, agent } = fresh();
      keptOf(config).joining.save({ nodeName: 'm1', hostIp: '127.0.0.11', systemId: '1', wiped: false });
      const before = files(own);
      expect(await codeOf(() => ask(agent))).toBe('join_not_undone');
      expect([files(own), did, agent.tracker.running()]).toEqual([before, [], null]);
    });

    test(`${kind} with a file that was changed since the agent read it`, async () => {
      const { own, path, agent } = fresh();
      writeFileSync(path, `${readFileSync(path, 'utf8')}\ntags: { priority: 7 }\n`);
      const before = files(own);
      expect(await codeOf(() => ask(agent))).toBe('configuration_not_in_force');
      expect([files(own), did, agent.tracker.running()]).toEqual([before, [], null]);
    });

    test(`${kind} with options that are none, or a name that cannot be one`, async () => {
      for (const options of [
        { options: { nonsense: 1 } },
        { nodeName: 'not a name!' },
        { hostIp: 'nowhere' },
      ]) {
        const { own, agent } = fresh();
        const before = files(own);
        expect(await codeOf(() => ask(agent, options))).toBe('config_invalid');
        expect([files(own), did, agent.tracker.running()]).toEqual([before, [], null]);
      }
    });
  }
});
