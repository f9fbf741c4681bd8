/**
 * One seed from beginning to end: quiet times and storms in turn, and after each storm a bound to be open
 * again.
 */
import { defaultPolicy, type Policy } from '../../agent/core/policy.ts';
import { votesNeeded } from '../../agent/core/records.ts';
import type { Matter } from '../../agent/roles/postgres/claims.ts';
import type { Tap } from './agent.ts';
import { bootCluster } from './boot.ts';
import { contains } from './branch.ts';
import { realCore } from './core.ts';
import { heal } from './faults.ts';
import type { Violation } from './invariants.ts';
import { switchover } from './operator.ts';
import type { Core, SimNode } from './sim_node.ts';
import { Targets } from './targets.ts';
import { themes } from './themes.ts';
import { type Stats, World } from './world.ts';

export type RunOptions = {
  seed: number;
  nodes?: number;
  minutes?: number;
  core?: Core;
  /** Changes to the policy that the seed draws: for broken cores. */
  policy?: Partial<Policy>;
  /** The one theme of all storms, by name. */
  theme?: string;
  /** Changes of this matter are written whatever was asked for since, and however late: a broken driver. */
  unclaimed?: Matter;
  /** How fast each node's clock runs, instead of what the seed draws. */
  rates?: number[];
  /** Changes what the core asks for: for broken cores. */
  taps?: Tap[];
  trace?: (line: string) => void;
};

export type RunResult = {
  seed: number;
  nodes: number;
  virtualMs: number;
  events: number;
  violations: Violation[];
  stats: Stats;
};

/** After so long without a fault every member follows again, rewound or copied where it had to be. */
const QUIET_AT_END = 90_000;

function atTheEnd(world: World): void {
  const active = world.nodes.find((n) => n.open);
  if (active === undefined) return;
  world.checker.complete(active, 'at the end');
  if (
    active.files.enabled &&
    active.files.mode !== 'sendonly' &&
    world.scheduler.now - active.fence.lastOpen > 60_000
  )
    world.checker.fail('nobody leads the files', active.name);
  // In strict mode it may have taken long until anybody was open to come back to.
  if (world.scheduler.now - active.fence.lastOpen < QUIET_AT_END - 30_000) return;
  for (const node of world.nodes) {
    if (node === active || world.store.view.nodes[node.name] === undefined) continue;
    if (node.server.proc?.receiver == null) world.checker.fail('a standby never came back', node.name);
    if (node.files.enabled && node.files.mode !== 'receiveonly')
      world.checker.fail('two lead the files', `${node.name} beside ${active.name}`);
  }
}

/** How soon after the last fault a connected majority must be open again. */
export const CONVERGENCE = 60_000;

export function runSeed(options: RunOptions): RunResult {
  const draw = (options.seed * 2654435761) >>> 0;
  const nodes = options.nodes ?? (draw % 10 < 7 ? 3 : draw % 10 < 9 ? 5 : 2);
  const targets = new Targets();
  const strict: Partial<Policy> = (draw >>> 16) % 8 === 0 ? { synchronousMode: 'strict' } : {};
  const policy: Policy = {
    ...defaultPolicy,
    ...presets[draw % presets.length],
    ...strict,
    ...options.policy,
  };
  const world = new World({
    seed: options.seed,
    nodes,
    policy,
    core: options.core ?? realCore,
    fence: (draw >>> 8) % 2 === 0 ? 'hba' : 'kernel',
    drift: 0.02,
    taps: [...(options.taps ?? []), targets.tap],
    ...(options.unclaimed === undefined ? {} : { unclaimed: options.unclaimed }),
    ...(options.trace === undefined ? {} : { trace: options.trace }),
  });
  for (const [i, rate] of (options.rates ?? []).entries())
    if (world.nodes[i] !== undefined) world.nodes[i].machine.rate = rate;
  targets.attach(world);
  bootCluster(world, (draw >>> 12) % 4 === 0 ? 'founder' : 'existing');
  world.start();
  const end = (options.minutes ?? 10) * 60_000;
  measure(world);
  settle(world, null, 'the start');
  while (world.scheduler.now < end - 60_000 - QUIET_AT_END && world.checker.violations.length === 0)
    cycle(world, targets, options.theme);
  world.run(Math.max(end, world.scheduler.now + QUIET_AT_END));
  if (world.checker.violations.length === 0) atTheEnd(world);
  return {
    seed: options.seed,
    nodes,
    virtualMs: world.scheduler.now,
    events: world.scheduler.ran,
    violations: world.checker.violations,
    stats: world.stats,
  };
}

const presets: Partial<Policy>[] = [
  {},
  {},
  { retryPeriod: 500, renewDeadline: 2000, leaseDuration: 3000, fencingTime: 750 },
];

function cycle(world: World, targets: Targets, only: string | undefined): void {
  const { random, scheduler } = world;
  if (random.chance(0.4)) switchover(world);
  world.run(scheduler.now + random.range(3000, 25_000));
  const theme = themes.find((t) => t.name === only) ?? random.pick(themes);
  world.note('--', `storm: ${theme.name}`);
  theme.begin(world, targets);
  world.flaky = true;
  const until = scheduler.now + random.range(5000, 60_000);
  const pace = random.pick([1500, 4000, 10_000]);
  while (scheduler.now < until && world.checker.violations.length === 0) {
    theme.step(world);
    world.run(scheduler.now + random.range(100, 2 * pace));
  }
  targets.clear();
  world.longTail = null;
  world.flaky = false;
  const dead = world.nodes.length > 2 && random.chance(0.2) ? random.pick(world.nodes) : null;
  heal(world, dead);
  settle(world, dead, 'the faults ended');
  if (dead !== null) heal(world, null);
}

/** A connected majority must be open within the bound, unless PROTOCOL D.3 leaves it to the operator. */
function settle(world: World, dead: SimNode | null, after: string): void {
  const from = world.scheduler.now;
  const limit = from + CONVERGENCE;
  while (world.scheduler.now < limit && world.checker.violations.length === 0) {
    world.run(world.scheduler.now + 1000);
    if (serves(world)) return;
  }
  if (world.checker.violations.length > 0) return;
  if (leftToOperator(world)) {
    world.stats.excusedClosed += 1;
    world.note('--', 'nobody may be promoted (PROTOCOL D.3): left to the operator');
    return;
  }
  if (nobodyCanConfirm(world)) {
    world.stats.excusedStrict += 1;
    world.note('--', 'strict, and nobody can confirm (PROTOCOL D.11): left to the operator');
    return;
  }
  const down = dead === null ? '' : `, ${dead.name} dead`;
  world.checker.fail('not open again', `${CONVERGENCE / 1000} s after ${after}${down}`);
}

function serves(world: World): boolean {
  const active = world.nodes.find((n) => n.open && n.server.works && world.raft.serves(n.machine.index));
  return (
    active !== undefined &&
    world.scheduler.now - world.lastAck < 1500 &&
    world.store.view.sync?.value.leader === active.name
  );
}

/** The leader is gone and too few of the listed clones live. */
function leftToOperator(world: World): boolean {
  const sync = world.store.view.sync?.value;
  if (sync === undefined) return false;
  const intact = (n: SimNode) => n.machine.on && n.server.data === 'ok' && n.durable.rebuilding === null;
  const leader = world.node(sync.leader);
  if (leader !== undefined && intact(leader)) return false;
  const living = sync.voters.filter((v) =>
    world.nodes.some((n) => n.name === v.node && n.durable.clone === v.clone && intact(n)),
  );
  return sync.voters.length === 0 || living.length < votesNeeded(sync);
}

/**
 * Strict mode: a new branch that every other copy has left, and none of them may be wiped while `sync` lists
 * it (D.5, D.11).
 */
function nobodyCanConfirm(world: World): boolean {
  if (world.options.policy.synchronousMode !== 'strict') return false;
  const best = world.nodes.reduce((a, b) => (b.server.branch.tli > a.server.branch.tli ? b : a)).server;
  const members = world.store.view.nodes;
  // Rule 720: it has a newer timeline than `sync` says, and may not take the promoted one's word before
  // `sync` names it.
  const waits = (node: SimNode) => node.agent?.context?.main.rule === 720;
  const able = world.nodes.filter((node) => {
    const { name, server, machine } = node;
    return (
      !waits(node) &&
      members[name] !== undefined &&
      machine.on &&
      server !== best &&
      server.data === 'ok' &&
      contains(best.branch, best.flushed, server.branch, server.flushed)
    );
  });
  return able.length < Math.floor(world.nodes.length / 2);
}

/** Time without an open active, and time with one that nobody confirms. */
function measure(world: World): void {
  const STEP = 250;
  const tick = () => {
    const active = world.nodes.find((n) => n.open);
    if (active === undefined) world.stats.closedMs += STEP;
    else if (active.server.list === null) world.stats.degradedMs += STEP;
    world.scheduler.after(STEP, tick);
  };
  world.scheduler.after(STEP, tick);
}
