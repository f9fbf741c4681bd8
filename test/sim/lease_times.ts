/**
 * Nodes whose files have other lease times, restarts with another file, and changes by command, with actives
 * that are cut off.
 */

import type { ClusterLease, ConfigRecord } from '../../agent/core/config_record.ts';
import { sameTimes, timesProblem, worstCaseOf } from '../../agent/core/lease_times.ts';
import { timesOf } from '../../agent/core/policy.ts';
import { NO_TROUBLE } from './consul_port.ts';
import { cutPower, freezeAgent, killAgent } from './faults.ts';
import { consulDown, isolate, oneWay, trouble } from './network_faults.ts';
import { switchover } from './operator.ts';
import type { SimNode } from './sim_node.ts';
import type { Theme } from './theme.ts';
import type { World } from './world.ts';

/** check_ttl_multiplier, as far as it matters here. */
const FACTORS = [0.5, 1, 1.5, 2, 3];

/** The times of the world's policy, scaled as the file's are. */
export function scaled(world: World, factor: number) {
  const { retryPeriod, renewDeadline, leaseDuration, fencingTime } = world.options.policy;
  return {
    retryPeriod: retryPeriod * factor,
    renewDeadline: renewDeadline * factor,
    leaseDuration: leaseDuration * factor,
    fencingTime: Math.min(fencingTime, (leaseDuration - renewDeadline) * factor - 1),
  };
}

/** The file of a node is another one; its agent is restarted with it. */
export function otherFile(world: World, node: SimNode, factor: number, down: number): void {
  world.note(node.name, `file with check_ttl_multiplier ${factor}, agent restarted`);
  const times = scaled(world, factor);
  node.policy = { ...node.policy, ...times, worstCase: worstCaseOf(times.renewDeadline) };
  killAgent(world, node, down);
}

/**
 * As `agent cluster lease set` does: one write of the active, on condition that nobody has changed the key.
 */
export function setTimes(world: World, factor: number): void {
  const { store, scheduler } = world;
  const times = timesOf({ ...world.options.policy, ...scaled(world, factor) });
  // As the command does. A world whose own policy is unsafe has no safe ones.
  if (timesProblem(times) !== null) return;
  const held = store.view.config;
  const before = held?.value.lease as ClusterLease | undefined;
  if (before !== undefined && sameTimes(before, times)) return;
  const lease: ClusterLease = { ...times, version: (before?.version ?? 0) + 1, by: 'operator', at: '' };
  const config: ConfigRecord = {
    schema: 1,
    version: (held?.value.version ?? 0) + 1,
    paused: held?.value.paused ?? false,
    pausedUntil: held?.value.pausedUntil ?? null,
    synchronousMode: world.options.policy.synchronousMode,
    lease,
  };
  world.note('--', `lease times of the cluster: factor ${factor}, version ${lease.version}`);
  store.txn([{ verb: 'set', key: 'config', value: config }], scheduler.now, 'operator');
}

/**
 * Long times made short, and the active lost at the moment when it has just said so, or thinks that it has
 * not.
 */
function squeeze(world: World): void {
  const { random, scheduler } = world;
  setTimes(world, 3);
  scheduler.after(random.range(4000, 8000), () => {
    setTimes(world, 0.5);
    scheduler.after(random.range(0, 2500), () => {
      const active = world.nodes.find((n) => n.open);
      if (active === undefined) return;
      const what = random.next();
      if (what < 0.2) {
        // Back just long enough to write its first record.
        killAgent(world, active, random.range(20, 300));
        scheduler.after(random.range(300, 1500), () => killAgent(world, active, random.range(8000, 20_000)));
      } else if (what < 0.5) killAgent(world, active, random.range(8000, 20_000));
      else if (what < 0.75) isolate(world, [active]);
      else {
        active.trouble = { ...NO_TROUBLE, lose: 1 };
        world.note(active.name, 'FAULT no answer of Consul arrives');
        scheduler.after(random.range(5000, 20_000), () => {
          active.trouble = NO_TROUBLE;
        });
      }
    });
  });
}

export const leaseTimes: Theme = {
  name: 'lease times',
  begin: (world) => {
    const { random } = world;
    if (random.chance(0.5)) setTimes(world, random.pick(FACTORS));
    for (const node of world.nodes)
      if (random.chance(0.5)) otherFile(world, node, random.pick(FACTORS), random.range(50, 2000));
  },
  step: (world) => {
    const { random } = world;
    world.stats.faults += 1;
    const node = random.pick(world.nodes);
    const active = world.nodes.find((n) => n.open);
    const what = random.next();
    if (what < 0.1) squeeze(world);
    else if (what < 0.2) setTimes(world, random.pick(FACTORS));
    else if (what < 0.35) otherFile(world, node, random.pick(FACTORS), random.range(50, 3000));
    else if (active === undefined) return;
    else if (what < 0.6) isolate(world, [active]);
    else if (what < 0.7) oneWay(world, active);
    else if (what < 0.76) trouble(world, active);
    else if (what < 0.82) consulDown(world);
    else if (what < 0.88) freezeAgent(world, active, random.skewed(1000, 20_000));
    else if (what < 0.94) switchover(world);
    else cutPower(world, active, random.range(2000, 20_000));
  },
};
