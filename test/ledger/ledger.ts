import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import {
  type Balance,
  balance,
  type Gap,
  hung,
  longestGap,
  type Overlap,
  overlaps,
  type Reign,
  reigns,
} from './judge.ts';
import type { Command, Question, Reply, Settings } from './main.ts';
import type { Wait } from './waiter.ts';
import type { Address } from './wire.ts';
import type { Attempt } from './writer.ts';

export const LEDGER_TABLE =
  'CREATE TABLE IF NOT EXISTS ledger (node text, seq bigint, at timestamptz DEFAULT now(), token text PRIMARY KEY)';

export interface LedgerOptions {
  /** A writer for each, all the while. */
  readonly nodes: Readonly<Record<string, Address>>;
  /** Milliseconds between two writes of one writer. */
  readonly every?: number;
  /**
   * While some node acknowledges writes, between two attempts to connect to one that refuses; default
   * `every`. Each costs the server a process: at the full pace two fenced standbys spend 0.4 of a core on
   * them.
   */
  readonly refusedEvery?: number;
  readonly connectTimeout?: number;
  readonly statementTimeout?: number;
  /** A command before the ledger's own: runs it in another network. */
  readonly through?: readonly string[];
}

/** Writers to every node from outside, in a process of their own, and the account of what they were told. */
export class Ledger {
  readonly #nodes: Readonly<Record<string, Address>>;
  readonly #run: string;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting = new Map<number, PromiseWithResolvers<Reply>>();
  #attempts: Attempt[] = [];
  #commands = 0;
  #refusals: Readonly<Record<string, string>> = {};

  constructor(options: LedgerOptions) {
    this.#nodes = options.nodes;
    this.#run = `${Date.now().toString(36)}${Math.floor(Math.random() * 1296).toString(36)}`;
    const settings: Settings = {
      run: this.#run,
      nodes: options.nodes,
      every: options.every ?? 20,
      refusedEvery: options.refusedEvery ?? options.every ?? 20,
      connectTimeout: options.connectTimeout ?? 1000,
      statementTimeout: options.statementTimeout ?? 2000,
    };
    const own = [process.execPath, join(import.meta.dirname, 'main.ts'), JSON.stringify(settings)];
    const [file = '', ...args] = [...(options.through ?? []), ...own];
    this.#child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.once('exit', (code) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`the ledger ended with ${code}`));
    });
    this.#child.stderr.on('data', (chunk: Uint8Array) => process.stderr.write(chunk));
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const reply = JSON.parse(line) as Reply;
      this.#waiting.get(reply.id)?.resolve(reply);
      this.#waiting.delete(reply.id);
    });
  }

  async #ask(command: Question): Promise<Reply> {
    this.#commands += 1;
    const full: Command = { ...command, id: this.#commands };
    const reply = Promise.withResolvers<Reply>();
    this.#waiting.set(full.id, reply);
    this.#child.stdin.write(`${JSON.stringify(full)}\n`);
    return reply.promise;
  }

  /** A moment on the ledger's clock. */
  async mark(): Promise<number> {
    return (await this.#ask({ ask: 'mark' })).now;
  }

  /** Every attempt so far. */
  async attempts(): Promise<readonly Attempt[]> {
    const reply = await this.#ask({ ask: 'records', from: this.#attempts.length });
    this.#attempts = [...this.#attempts, ...reply.attempts];
    this.#refusals = reply.refusals;
    return this.#attempts;
  }

  /** Why each node last refused, as of the last look. */
  get refusals(): Readonly<Record<string, string>> {
    return this.#refusals;
  }

  /**
   * Waits until a write sent after `since` is acknowledged (by `node`, if given). Returns when on the
   * ledger's clock.
   */
  async acknowledgedAfter(since: number, timeout: number, node?: string): Promise<number> {
    const deadline = performance.now() + timeout;
    for (;;) {
      const found = (await this.attempts()).find(
        (attempt) =>
          attempt.outcome === 'acknowledged' &&
          attempt.sent >= since &&
          (node === undefined || attempt.node === node),
      );
      if (found) return found.answered;
      if (performance.now() > deadline) {
        const why = Object.entries(this.#refusals).map(([name, said]) => `${name}: ${said}`);
        throw new Error(`no write acknowledged within ${timeout} ms; ${why.join('; ')}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }

  async downtime(from: number, to?: number): Promise<Gap> {
    return longestGap(await this.attempts(), from, to);
  }

  async overlaps(): Promise<Overlap[]> {
    return overlaps(await this.attempts());
  }

  async reigns(since = 0): Promise<Reign[]> {
    return reigns(await this.attempts(), since);
  }

  /** Compares what was acknowledged with what `node`'s database holds. */
  async balance(node: string): Promise<Balance> {
    // First the attempts, then the rows: a row written in between is in the database too.
    const attempts = await this.attempts();
    if (!this.#nodes[node]) throw new Error(`no node ${node}`);
    const { tokens } = await this.#ask({ ask: 'tokens', node });
    if (typeof tokens === 'string') throw new Error(`the ledger of ${node} could not be read: ${tokens}`);
    return balance(attempts, new Set(tokens));
  }

  /** Clients that only wait, from first to last. */
  async waits(): Promise<readonly Wait[]> {
    return (await this.#ask({ ask: 'mark' })).waits;
  }

  /**
   * Clients that wait on a node that has not been the active since they began. Looks again until there is
   * none, for `timeout` ms. One of a machine that lost its power is never told: there is nobody left to do
   * so.
   */
  async hung(timeout = 30_000): Promise<Wait[]> {
    const deadline = performance.now() + timeout;
    for (;;) {
      const found = hung(await this.waits(), await this.attempts());
      if (found.length === 0 || performance.now() > deadline) return found;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** No more writes; the account stays readable until `close`. */
  async stopWriting(): Promise<void> {
    await this.#ask({ ask: 'stop' });
    await this.attempts();
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 2000);
    await ended;
    clearTimeout(timer);
  }
}
