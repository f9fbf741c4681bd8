import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { agentOn } from '../../cli/dev/cluster.ts';
import { nodesTable } from '../../cli/dev/status.ts';
import {
  divergedWrites,
  type Failover,
  postmasterKilled,
  takenOver,
  underLoad,
} from '../dev/failover.scenario.ts';
import type { TestCluster } from '../dev/harness.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { heading, say, seconds, table } from './text.ts';

/** The clients go on writing for this long after each step, ms. */
const PAUSE = 1500;

/**
 * The demo's steps: each says what it does, does it, and shows the cluster and the account of writes after
 * it.
 */
export class Story {
  readonly #t: TestCluster;
  readonly #ledger: Ledger;
  readonly #summary: string[][] = [];
  #number = 2;
  #bad = 0;
  /** Unreplicated rows written on purpose. */
  readonly #divergent = 10;

  constructor(t: TestCluster) {
    this.#t = t;
    this.#ledger = t.ledger();
  }

  #title(text: string): void {
    this.#number += 1;
    heading(`${this.#number}. ${text}`);
  }

  /**
   * Cluster and account as they are now, after the clients wrote for a moment; `names` are the managers that
   * run.
   */
  async #show(step: string, downtime?: number, names?: string[]): Promise<void> {
    await this.#ledger.acknowledgedAfter((await this.#ledger.mark()) + PAUSE, 30_000);
    await this.#t.healthy(15_000, names);
    const active = await this.#t.activeName();
    const balance = await this.#ledger.balance(active);
    const overlaps = await this.#ledger.overlaps();
    this.#bad += balance.lost.length + overlaps.length + balance.phantoms.length;
    const down = downtime === undefined ? '' : seconds(downtime);
    if (downtime !== undefined) say(`  No write was accepted for ${down}.`);
    say(
      `  Acknowledged to the clients so far: ${balance.acknowledged}. Of these in the database: ${balance.acknowledged - balance.lost.length}.\n`,
    );
    say((await nodesTable(this.#t.cluster, false)) ?? '  no agent answers');
    this.#summary.push([
      step,
      active,
      down,
      String(balance.acknowledged),
      String(balance.acknowledged - balance.lost.length),
      String(balance.lost.length),
      overlaps.length === 0 ? 'never' : `${overlaps.length} times`,
    ]);
  }

  async begin(): Promise<void> {
    this.#title('Clients write');
    say('  One client per manager, from now to the end: a row every 20 ms. Only the active accepts them.');
    await underLoad(this.#ledger);
    await this.#show('clients write');
  }

  async switchover(): Promise<void> {
    const t = this.#t;
    const from = await t.settled();
    const target = t.nodes.map(({ name }) => name).find((name) => name !== from) ?? from;
    this.#title(`Switchover: agent cluster set-active ${target}`);
    say(`  The operator moves the active role from ${from} to ${target}, as before maintenance.`);
    const since = await underLoad(this.#ledger);
    await t.switchTo(target);
    const again = await this.#ledger.acknowledgedAfter(since, 30_000, target);
    await t.settled();
    await this.#show('switchover', (await this.#ledger.downtime(since, again)).ms);
  }

  async postmasterKilled(): Promise<void> {
    const active = await this.#t.settled();
    this.#title(`PostgreSQL dies on the active (kill -9 of its postmaster on ${active})`);
    say('  The machine is fine, so the agent starts PostgreSQL again in place. The active stays.');
    await this.#show('postmaster killed', await postmasterKilled(this.#t, this.#ledger));
  }

  async managerKilled(): Promise<Failover> {
    const t = this.#t;
    const from = await t.settled();
    this.#title(`The active manager dies with everything it runs (kill -9 of all processes of ${from})`);
    say(
      `  Just before, ${this.#divergent} rows are committed on ${from} alone: sending them on is held up, and the`,
    );
    say('  writer asked not to wait for it. Nobody was promised these rows; watch what becomes of them.');
    const since = await underLoad(this.#ledger);
    await divergedWrites(t, from, this.#divergent);
    await t.killManager(from);
    const failover = await takenOver(t, this.#ledger, from, since);
    const living = t.nodes.map(({ name }) => name).filter((name) => name !== from);
    await t.settled(60_000, living);
    say(`  ${failover.to} took over when the lease of ${from} had run out.`);
    await this.#show('manager killed', failover.downtime, living);
    return failover;
  }

  async returns({ from, to }: Failover): Promise<void> {
    const t = this.#t;
    this.#title(`${from} comes back`);
    say('  Its database went another way than the cluster: it is rewound, and becomes a standby.');
    const before = performance.now();
    await t.startAgent(from);
    await t.settled(120_000);
    say(`  A voting standby again after ${seconds(performance.now() - before)}.`);
    const left = await t.sql(from, "SELECT count(*) FROM deployments WHERE name LIKE 'lost %'");
    const { divergedDir } = t.node(from);
    const saved = existsSync(divergedDir) ? readdirSync(divergedDir) : [];
    const folder = saved.at(-1);
    if (folder === undefined || left !== '0') {
      this.#bad += 1;
      say(
        `  Its unreplicated writes were not set aside as they should be (${left} rows left, ${saved.length} saved).`,
      );
    } else {
      say(
        `  Its ${this.#divergent} unreplicated rows are gone from the database, and saved in diverged/${folder}:`,
      );
      say(`    ${readdirSync(join(divergedDir, folder)).join('  ')}`);
    }
    await this.#show(`${from} comes back, ${to} stays`);
  }

  /** The summary; true when nothing was lost and no two managers ever accepted writes at once. */
  async end(filled: { table: string; rows: number }): Promise<boolean> {
    const t = this.#t;
    await this.#ledger.stopWriting();
    this.#title('The account');
    const count = (name: string) => t.sql(name, `SELECT count(*) FROM ${filled.table}`);
    const counts = await Promise.all(t.nodes.map(({ name }) => count(name)));
    if (counts.some((rows) => Number(rows) !== filled.rows)) this.#bad += 1;
    const each = t.nodes.map(({ name }, index) => `${counts[index]} on ${name}`);
    say(`  Of the ${filled.rows} ${filled.table} from the beginning: ${each.join(', ')}.`);
    const active = await t.activeName();
    const work = await t.sql(
      active,
      "SELECT string_agg(node || ' ' || n, ', ' ORDER BY node) FROM (SELECT node, count(*) n FROM work GROUP BY 1) w",
    );
    say(`  The demo worker ran where the active was; rows of it by manager: ${work}.`);
    say('\n  The history, as the cluster keeps it:\n');
    const history = await agentOn(t.cluster, t.node(active), ['cluster', 'history']);
    say(history.stdout.trimEnd());
    const head = ['step', 'active', 'no writes for', 'acknowledged', 'found', 'lost', 'two active'];
    say(`\n  The steps, as the clients saw them:\n\n${table(head, this.#summary)}\n`);
    if (this.#bad === 0) say('  Every acknowledged write is there, and never were two managers active.');
    else say(`  NOT GOOD: ${this.#bad} things went wrong above.`);
    return this.#bad === 0;
  }

  close(): Promise<void> {
    return this.#ledger.close();
  }
}
