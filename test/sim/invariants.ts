/**
 * What must hold at every moment (CONTRACTS 6), judged from outside with true time and complete knowledge.
 * Violations are collected, not thrown: the run stops after the event that caused one.
 */
import {
  type ActiveRecord,
  type LeaseRecord,
  type SyncRecord,
  standbyName,
} from '../../agent/core/records.ts';
import type { Agent } from './agent.ts';
import { contains, describe } from './branch.ts';
import type { Commit } from './consul.ts';
import { missedFiles } from './files.ts';
import type { Server } from './server.ts';
import type { SimNode } from './sim_node.ts';
import type { World } from './world.ts';

export type Violation = { at: number; invariant: string; detail: string };

export class Checker {
  readonly violations: Violation[] = [];
  private world: World;
  private lease: { record: LeaseRecord | null; at: number } = { record: null, at: 0 };
  /** Since when each listed copy has been listed. */
  private listed = new Map<string, number>();
  /** A node of the cluster wrote `sync` last, and without a voter. */
  private emptied = false;
  private syncEpoch = 0;
  private activeEpoch = 0;
  private lastOpened: SimNode | null = null;

  constructor(world: World) {
    this.world = world;
    world.store.onCommit((commit) => this.committed(commit));
  }

  fail(invariant: string, detail: string): void {
    this.violations.push({ at: this.world.scheduler.now, invariant, detail });
    this.world.note('!!', `${invariant}: ${detail}`);
  }

  /** A write was answered with success. */
  acknowledged(server: Server, lsn: number): void {
    const { stats } = this.world;
    stats.acknowledged += 1;
    if (server.proc?.list === null) stats.acknowledgedAlone += 1;
    if (lsn > server.branch.acked) server.branch.acked = lsn;
    this.world.lastAck = this.world.scheduler.now;
    const opened = this.lastOpened;
    if (opened === null || opened.server === server || !this.world.lossless) return;
    if (!contains(opened.server.branch, opened.server.flushed, server.branch, lsn)) {
      this.fail(
        'acknowledged on a branch that was left',
        `${server.name} acknowledged ${describe(server.branch, lsn)}, ${opened.name} had opened ${describe(opened.server.branch, opened.server.flushed)}`,
      );
    }
  }

  /** A node lets clients in. `asked`: when the agent set out to do it. */
  opened(node: SimNode, asked: number): void {
    const { world } = this;
    if (!node.open) return;
    node.loose = !this.holds(node);
    if (node.loose && node.disturbedAt < asked) {
      this.fail('unfence without a right', `${node.name} opened, the lease is ${this.leaseText()}`);
    }
    for (const other of world.nodes) {
      if (other === node || !other.open) continue;
      // A machine that stood still together with its clock may even open again on a renewal of before
      // (PROTOCOL C.4).
      if (node.loose || other.loose || other.server.hung !== 'no' || this.wasBlind(other))
        world.stats.excusedTwoOpen += 1;
      else this.fail('two actives', `${node.name} opened while ${other.name} is open`);
    }
    // A machine that thaws in the middle of opening reads old data for a moment; acknowledging is what it
    // must not.
    if (node.loose) return;
    this.complete(node, 'opened');
    const leader = world.store.view.sync?.value.leader ?? 'nobody';
    if (leader !== node.name)
      this.fail('opened before sync names it', `${node.name} opened, sync names ${leader}`);
    else if (this.emptied && this.strictAmong() > 1)
      this.fail(
        'strict mode open without a voter',
        `${node.name} opened, and nobody confirms (PROTOCOL D.11)`,
      );
    // What clients can read from now on may not vanish either (PROTOCOL D.6, D.7).
    const { branch, flushed } = node.server;
    if (branch.lastCommit <= flushed) branch.acked = Math.max(branch.acked, branch.lastCommit);
    if (this.lastOpened !== node) world.stats.roleChanges += 1;
    this.lastOpened = node;
  }

  closed(node: SimNode): void {
    node.loose = false;
  }

  /** Does this node's data contain every write that was ever acknowledged? */
  complete(node: SimNode, when: string): void {
    if (!this.world.lossless) return;
    const { branch, flushed } = node.server;
    for (const other of this.world.forest.branches) {
      if (other.acked > 0 && !contains(branch, flushed, other, other.acked)) {
        this.fail(
          'acknowledged write lost',
          `${node.name} ${when} with ${describe(branch, flushed)}, which lacks ${describe(other, other.acked)}`,
        );
        return;
      }
    }
  }

  writableStart(node: SimNode, agent: Agent): void {
    this.underRight(node, agent, 'writable start');
  }

  promote(node: SimNode, agent: Agent): void {
    this.underRight(node, agent, 'promote');
  }

  promoted(node: SimNode, agent: Agent): void {
    this.world.stats.promotions += 1;
    if (agent.alive && node.fence.isOpen())
      this.fail('promotion while open', `${node.name} was promoted unfenced`);
  }

  opening(node: SimNode, agent: Agent): void {
    this.underRight(node, agent, 'unfence');
  }

  /** PostgreSQL is told to stop. */
  stopping(node: SimNode, _agent: Agent): void {
    if (!node.open) return;
    if (node.fence.lastClose <= node.fence.lastOpen) {
      this.fail('demote before fence', `${node.name} stops its primary while clients are let in`);
    }
  }

  /** A data directory is about to be overwritten. */
  wiping(node: SimNode, clone: string): void {
    const sync = this.world.store.view.sync?.value;
    // What is lost already cannot be counted on anyway.
    if (sync === undefined || node.server.data !== 'ok') return;
    if (sync.leader === node.name)
      this.fail('wiped the leader', `${node.name} is wiped, sync names it the leader`);
    // Listed only after it received anything, it has confirmed nothing under that list: it will merely be
    // missed.
    const listed = sync.voters.find((v) => v.node === node.name && v.clone !== clone);
    const since =
      listed === undefined ? Number.POSITIVE_INFINITY : (this.listed.get(standbyName(listed)) ?? 0);
    if (since < node.server.receivedAt)
      this.fail('wiped a voter', `${node.name} is wiped, sync lists ${listed?.clone}`);
  }

  foreign(down: Server, up: Server): void {
    this.fail(
      'foreign history under the same timeline number',
      `${down.name} at ${describe(down.branch, down.flushed)} streams from ${up.name} at ${describe(up.branch, up.flushed)}`,
    );
  }

  /** The files of the active are the ones that count: only the holder may say so. */
  leadsFiles(node: SimNode, agent: Agent): void {
    if (node.files.enabled) this.underRight(node, agent, 'files lead');
  }

  private underRight(node: SimNode, _agent: Agent, what: string): void {
    // A machine that stood still together with its clock cannot know (PROTOCOL C.4).
    if (this.wasBlind(node)) return;
    if (!this.holds(node))
      this.fail(`${what} without a right`, `${node.name}; the lease is ${this.leaseText()}`);
  }

  private wasBlind(node: SimNode): boolean {
    return this.world.scheduler.now - node.blindAt < this.waits(node, this.lease.record);
  }

  /**
   * How long a record stands before it may be replaced: what it says, whatever is in the challenger's file.
   */
  private waits(node: SimNode, record: LeaseRecord | null): number {
    return record?.times?.leaseDuration ?? node.policy.leaseDuration;
  }

  private holds(node: SimNode): boolean {
    const record = this.lease.record;
    return record !== null && record.holder === node.name && record.instance === node.instance;
  }

  private leaseText(): string {
    const r = this.lease.record;
    return r === null
      ? 'absent'
      : `${r.holder || 'free'} (${r.instance || 'offered'}) epoch ${r.epoch} seq ${r.seq}`;
  }

  private committed(commit: Commit): void {
    for (const op of commit.ops) {
      if (op.key === 'sync' && (op.verb === 'cas' || op.verb === 'set'))
        this.syncWritten(op.value as SyncRecord, commit.by);
      if (op.key === 'active' && op.verb === 'set') this.activeWritten(op.value as ActiveRecord);
      if (op.key !== 'next_master' || (op.verb !== 'cas' && op.verb !== 'set')) continue;
      const before = this.lease;
      const record = op.value as LeaseRecord;
      this.lease = { record, at: commit.at };
      const writer = this.world.nodes.find((n) => n.name === commit.by);
      if (writer === undefined || before.record === null) continue;
      this.leaseChanged(writer, before.record, record, commit.at - before.at);
    }
  }

  /** Nothing that a former holder sent late lands under a newer epoch (PROTOCOL B.6). */
  private activeWritten(active: ActiveRecord): void {
    if (active.epoch < this.activeEpoch)
      this.fail('active went back', `epoch ${active.epoch} after ${this.activeEpoch}`);
    this.activeEpoch = active.epoch;
  }

  private syncWritten(sync: SyncRecord, by: string): void {
    if (sync.epoch < this.syncEpoch)
      this.fail('sync went back', `epoch ${sync.epoch} after ${this.syncEpoch}`);
    this.syncEpoch = sync.epoch;
    const now = this.world.scheduler.now;
    this.listed = new Map(sync.voters.map((v) => [standbyName(v), this.listed.get(standbyName(v)) ?? now]));
    const shut = this.world.nodes.every((n) => !n.open);
    // What a hand wrote there says nothing of the core's own choice.
    const own = this.world.nodes.some((n) => n.name === by);
    this.emptied = own && sync.voters.length === 0;
    if (this.emptied && this.strictAmong() > 1 && !shut) {
      this.fail('strict mode written empty', `${sync.leader} wrote no voters (PROTOCOL D.11)`);
    }
    if (sync.voters.some((v) => v.node === sync.leader)) this.fail('leader among its voters', sync.leader);
  }

  /** How many members a strict cluster has; 0 where it is not strict. */
  private strictAmong(): number {
    const { options, store } = this.world;
    return options.policy.synchronousMode === 'strict' ? Object.keys(store.view.nodes).length : 0;
  }

  private leaseChanged(writer: SimNode, before: LeaseRecord, after: LeaseRecord, stood: number): void {
    if (after.epoch < before.epoch) this.fail('epoch went back', `${before.epoch} to ${after.epoch}`);
    if (after.holder === before.holder && after.instance === before.instance) {
      const runs = writer.agent !== null && !writer.agent.frozen && !writer.machine.paused;
      if (runs && after.instance === writer.instance) writer.loose = false;
      return;
    }
    if (after.instance === '') {
      // It may arrive late, and from a life before the last power cut: what counts is what runs now.
      if (before.holder !== writer.name)
        this.fail('lease given by a stranger', `${writer.name} wrote ${this.leaseText()}`);
      if (writer.server.proc?.role === 'primary') {
        this.fail('released before the stop', `${writer.name} gave the lease to ${after.holder || 'anyone'}`);
      }
      this.world.stats.handovers += 1;
      const missed = missedFiles(this.world, writer, after);
      if (missed !== null) this.fail('switchover without the files', missed);
      return;
    }
    const offered = before.instance === '' && (before.holder === writer.name || before.from === writer.name);
    if (before.holder === '' || offered) return;
    this.world.stats.takeovers += 1;
    if (after.holder !== writer.name)
      this.fail('lease given by a stranger', `${writer.name} wrote ${this.leaseText()}`);
    const own = stood * writer.machine.rate;
    if (own < this.waits(writer, before) - 1) {
      this.fail(
        'acquired too soon',
        `${writer.name} took the lease of ${before.holder} after ${own.toFixed(0)} ms`,
      );
    }
  }
}
