/**
 * One manager's replicated files: how new its copy is, and who may change whose. The active's services write;
 * a receive-only copy catches up with the copy that leads, while the network lets it.
 */
import type { FileFacts } from '../../agent/core/ports.ts';
import { NO_FILES } from '../../agent/core/ports.ts';
import type { LeaseRecord } from '../../agent/core/records.ts';
import type { Agent, Handlers, Reply } from './agent.ts';
import type { SimNode } from './sim_node.ts';
import type { World } from './world.ts';

export class Files {
  readonly enabled: boolean;
  mode: 'sendonly' | 'receiveonly' = 'receiveonly';
  /** How many changes of the active's files this copy has. */
  version = 0;
  /**
   * True time since when it leads; a machine that comes back from a power cut leads on until it is told
   * otherwise.
   */
  ledSince = Number.NEGATIVE_INFINITY;
  /** Syncthing does not answer, and copies nothing. */
  hung = false;

  constructor(enabled: boolean) {
    this.enabled = enabled;
  }
}

const TICK = 400;
const SETTLE_STEP = 50;

/** Services write, copies catch up. */
export function startFiles(world: World): void {
  const random = world.files;
  const tick = () => {
    for (const node of world.nodes)
      if (node.open && node.services.running && random.chance(0.3)) node.files.version += 1;
    for (const node of world.nodes) if (random.chance(0.6)) catchUp(world, node);
    world.scheduler.after(TICK, tick);
  };
  world.scheduler.after(TICK, tick);
}

/** What an operator asks for is not done without the files (CONTRACTS 10). */
export function missedFiles(world: World, from: SimNode, given: LeaseRecord): string | null {
  const target = world.node(given.holder)?.files;
  if (target === undefined || !target.enabled || !given.reason.startsWith('switchover to ')) return null;
  if (target.version >= from.files.version) return null;
  return `${given.holder} has ${target.version} of ${from.files.version}`;
}

function leader(world: World, node: SimNode): SimNode | null {
  const leaders = world.nodes.filter(
    (other) =>
      other !== node &&
      other.files.mode === 'sendonly' &&
      !other.files.hung &&
      other.machine.on &&
      !other.machine.paused &&
      world.network.both(node.machine.index, other.machine.index),
  );
  // Of two that send, the newer change of a file counts: a former active's older copy takes nothing back.
  return leaders.reduce<SimNode | null>(
    (best, one) => (best === null || one.files.ledSince > best.files.ledSince ? one : best),
    null,
  );
}

function catchUp(world: World, node: SimNode): void {
  const { files, machine } = node;
  if (!files.enabled || files.hung || files.mode !== 'receiveonly' || !machine.on || machine.paused) return;
  const from = leader(world, node);
  if (from === null) return;
  // What a copy has alone is reverted to the active's. A former active that still sends has nothing newer,
  // and takes nothing back.
  files.version = from.open ? from.files.version : Math.max(files.version, from.files.version);
}

function factsOf(world: World, node: SimNode): FileFacts {
  const { files } = node;
  if (!files.enabled) return NO_FILES;
  if (files.hung) return { ...NO_FILES, state: 'unknown' };
  const need = Math.max(0, (leader(world, node)?.files.version ?? 0) - files.version);
  return {
    state: need === 0 ? 'complete' : 'behind',
    needItems: need,
    needBytes: need * 1000,
    errors: 0,
    mode: files.mode,
  };
}

export function filesPort(world: World, node: SimNode): Handlers<'files'> {
  const random = world.files;
  const DONE = { kind: 'done' };
  const failed = (agent: Agent, reply: Reply, ms: number) =>
    void agent.later(ms, () => reply({ kind: 'failed', why: 'Syncthing does not answer' }));
  const change = (agent: Agent, reply: Reply, ms: number, mode: 'sendonly' | 'receiveonly') => {
    const { files } = node;
    if (!files.enabled) return void agent.later(0, () => reply(DONE));
    if (files.hung) return failed(agent, reply, ms);
    agent.later(random.skewed(2, 200), () => {
      if (files.hung) return failed(agent, reply, ms);
      if (mode === 'sendonly' && files.mode !== mode) files.ledSince = world.scheduler.now;
      files.mode = mode;
      reply(DONE);
    });
  };
  return {
    facts: (agent, reply) => void agent.later(0, () => reply(factsOf(world, node))),
    lead: (agent, reply, [ms]) => {
      world.checker.leadsFiles(node, agent);
      change(agent, reply, ms, 'sendonly');
    },
    follow: (agent, reply, [, ms]) => change(agent, reply, ms, 'receiveonly'),
    settle: (agent, reply, [target, ms]) => {
      const copy = world.node(target)?.files;
      if (!node.files.enabled || copy === undefined) return void agent.later(0, () => reply(DONE));
      const until = node.machine.now() + ms;
      const look = () => {
        const seen =
          !node.files.hung && world.network.both(node.machine.index, world.node(target)?.machine.index ?? 0);
        if (seen && copy.version >= node.files.version) return reply(DONE);
        if (node.machine.now() >= until) return reply({ kind: 'failed', why: `${target} lacks files` });
        agent.later(SETTLE_STEP, look);
      };
      agent.later(random.skewed(5, 300), look);
    },
  };
}
