import process from 'node:process';
import { explain } from '../../agent/errors.ts';
import { sleep } from '../../agent/platform/clock.ts';
import { command } from '../common/command.ts';
import { CLIENT, PORTS } from './layout.ts';

/**
 * The demo's mgmtworker: writes a row a second through the manager's own address, as any client does, so that
 * a fence shuts it out like the others. Runs until SIGTERM; a lost connection is made anew.
 */
export async function runWorker(host: string, node: string): Promise<void> {
  // Not for who only lists the commands.
  const { default: postgres } = await import('postgres');
  const ending = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => ending.abort());
  const sql = postgres({
    host,
    port: PORTS.postgres,
    user: CLIENT.user,
    database: CLIENT.database,
    max: 1,
    connect_timeout: 2,
    fetch_types: false,
    onnotice: () => {},
  });
  let said = '';
  const say = (line: string) => {
    if (line !== said) process.stdout.write(`${new Date().toISOString()} ${line}\n`);
    said = line;
  };
  while (!ending.signal.aborted) {
    try {
      await sql`INSERT INTO work (node) VALUES (${node})`;
      say('working');
    } catch (cause) {
      say(`no work done: ${explain(cause)}`);
    }
    await sleep(1000, ending.signal);
  }
  // A commit that waits for a standby must not keep the manager from stopping, nor a switchover from going
  // on.
  await sql.end({ timeout: 0 });
}

const worker = command({
  name: 'worker',
  description: 'the demo worker of a dev cluster',
  examples: ['agent dev worker --host 127.0.0.11 --node n1'],
  args: {
    host: { type: 'string', valueHint: 'IP', description: 'address of the database', required: true },
    node: { type: 'string', valueHint: 'NAME', description: 'name of the manager', required: true },
  },
  async run({ args }) {
    await runWorker(args.host, args.node);
  },
});

/** Run by the agent, not by people. */
export default { ...worker, meta: { ...worker.meta, hidden: true } };
