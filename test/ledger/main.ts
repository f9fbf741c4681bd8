/**
 * The ledger as a process of its own, so that what it measures does not share its event loop. Settings in the
 * first argument (JSON), commands as JSON lines on standard input, answers as JSON lines on standard output.
 * Ends with its input.
 */
import process from 'node:process';
import { createInterface } from 'node:readline';
import { startWaiter, type Wait } from './waiter.ts';
import { type Address, connect } from './wire.ts';
import { type Attempt, startWriter } from './writer.ts';

export interface Settings {
  readonly run: string;
  readonly nodes: Readonly<Record<string, Address>>;
  readonly every: number;
  readonly refusedEvery: number;
  readonly connectTimeout: number;
  readonly statementTimeout: number;
}

/** `records`: those from this index on. `tokens`: this run's rows in the database of that node. */
export type Question =
  | { readonly ask: 'mark' | 'stop' }
  | { readonly ask: 'records'; readonly from: number }
  | { readonly ask: 'tokens'; readonly node: string };

export type Command = Question & { readonly id: number };

export interface Reply {
  readonly id: number;
  readonly now: number;
  readonly attempts: readonly Attempt[];
  readonly refusals: Readonly<Record<string, string>>;
  readonly waits: readonly Wait[];
  /** Why not, when they could not be read. */
  readonly tokens: readonly string[] | string;
}

const settings = JSON.parse(process.argv[2] ?? '{}') as Settings;
const attempts: Attempt[] = [];
/** A node that writes does so every `every` ms; so long without one is an outage. */
const QUIET = 3 * settings.every;
let lastAcknowledged = Number.NEGATIVE_INFINITY;

function record(attempt: Attempt): void {
  attempts.push(attempt);
  if (attempt.outcome === 'acknowledged') lastAcknowledged = attempt.answered;
}

const othersWrite = () => performance.now() - lastAcknowledged < QUIET;
const writers = Object.entries(settings.nodes).map(([node, address]) => ({
  node,
  writer: startWriter({ ...settings, node, address, othersWrite }, record),
}));

const waits = Object.entries(settings.nodes).map(([node, address]) =>
  startWaiter(node, address, settings.connectTimeout),
);

async function tokensOf(node: string): Promise<string[] | string> {
  const address = settings.nodes[node];
  if (!address) return 'no such node';
  try {
    const connection = await connect(address, 5000);
    const answer = await connection.query(
      `SELECT token FROM ledger WHERE token LIKE '${settings.run}-%'`,
      30_000,
    );
    connection.close();
    return answer.kind === 'done' ? answer.rows.map((row) => row[0] ?? '') : answer.kind;
  } catch (cause) {
    return String(cause);
  }
}

const input = createInterface({ input: process.stdin });
input.on('close', () => process.exit(0));
input.on('line', async (line) => {
  const command = JSON.parse(line) as Command;
  const now = performance.now();
  if (command.ask === 'stop') await Promise.all(writers.map(({ writer }) => writer.stop()));
  const reply: Reply = {
    id: command.id,
    now,
    attempts: command.ask === 'records' ? attempts.slice(command.from) : [],
    tokens: command.ask === 'tokens' ? await tokensOf(command.node) : [],
    waits: waits.flatMap((waiter) => waiter()),
    refusals: Object.fromEntries(writers.map(({ node, writer }) => [node, writer.lastRefusal])),
  };
  process.stdout.write(`${JSON.stringify(reply)}\n`);
});
