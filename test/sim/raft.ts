/**
 * Which node can have a Consul request answered. One server runs on each node (on the first one alone in a
 * cluster of two); a leader must be joined both ways with a majority, and a client may go to any server that
 * reaches the leader.
 */
import type { Network } from './network.ts';
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';

export class Raft {
  leader: number | null = 0;
  readonly up: boolean[];
  private electing = false;
  private listeners: (() => void)[] = [];
  private network: Network;
  private scheduler: Scheduler;
  private random: Random;
  private servers: number[];

  constructor(size: number, network: Network, scheduler: Scheduler, random: Random) {
    this.network = network;
    this.scheduler = scheduler;
    this.random = random;
    this.servers = size === 2 ? [0] : Array.from({ length: size }, (_, i) => i);
    this.up = new Array<boolean>(size).fill(true);
    network.onChange(() => this.check());
  }

  onChange(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** Does a request of `node` reach the leader and its answer come back? */
  serves(node: number): boolean {
    const leader = this.leader;
    if (leader === null) return false;
    if (this.network.both(node, leader)) return true;
    return this.servers.some((s) => this.up[s] && this.network.both(node, s) && this.network.both(s, leader));
  }

  setUp(server: number, up: boolean): void {
    this.up[server] = up;
    this.check();
  }

  /** The leader steps down (a short outage) without anything being broken. */
  unseat(): void {
    this.leader = null;
    this.check();
  }

  check(): void {
    if (this.leader !== null && !this.electable(this.leader)) this.leader = null;
    for (const listener of this.listeners) listener();
    if (this.leader !== null || this.electing) return;
    if (!this.servers.some((s) => this.electable(s))) return;
    this.electing = true;
    this.scheduler.after(this.random.range(600, 2500), () => {
      this.electing = false;
      const able = this.servers.filter((s) => this.electable(s));
      if (this.leader === null && able.length > 0) {
        this.leader = this.random.pick(able);
        for (const listener of this.listeners) listener();
      }
    });
  }

  private electable(server: number): boolean {
    if (!this.up[server]) return false;
    const joined = this.servers.filter((s) => this.up[s] && this.network.both(server, s)).length;
    return joined * 2 > this.servers.length;
  }
}
