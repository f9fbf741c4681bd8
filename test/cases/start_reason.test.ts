/**
 * Input: `cluster start` on a database that cannot be opened, as it lacks the one that the agent logs in to.
 * Right: the command ends within seconds, with the last failure as its reason, and the agent's status has it
 *        too.
 * Source: reports of commands that said "opening the database" until they gave up.
 */
import { expect, test } from 'bun:test';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectAgent } from '../../agent/http/client_api.ts';
import { openCluster } from '../../cli/dev/cluster.ts';
import { down } from '../../cli/dev/down.ts';
import { up } from '../../cli/dev/up.ts';
import { freeAddress } from '../dev/addresses.ts';

test('a start that cannot work ends with the reason', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'agent-test-'));
  const said: string[] = [];
  const reason = 'the agent cannot log in: database "not_here" does not exist';
  try {
    const made = up(
      {
        ...{ dir, first: await freeAddress(), nodes: 1, runtime: 'bun' as const, preset: 'fast' as const },
        options: { postgres: { database: 'not_here' } },
      },
      (line) => said.push(line),
    );
    await expect(made).rejects.toMatchObject({ code: 'dev_up_failed' });
    expect(said.join('\n')).toContain(`the database cannot be opened: `);
    expect(said.join('\n')).toContain(reason);
    const [node] = openCluster(dir).nodes;
    const status = await connectAgent({ target: { socketPath: node?.socket ?? '' } }).status();
    expect(status.reason).toContain(reason);
  } finally {
    await down(openCluster(dir), { purge: true }, () => {});
  }
}, 180_000);
