import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import type { NodeRow } from '../../agent/api/types.ts';
import { which } from '../../agent/platform/paths.ts';
import { giveTo } from '../../cli/dev/user.ts';
import { eventually, TestCluster } from './harness.ts';

/** A cluster that was founded without files, and is given them node by node. */
const when = test.skipIf(which('syncthing') === undefined);
const DEADLINE = 90_000;
let t: TestCluster;

beforeAll(async () => {
  t = await TestCluster.up({ options: { checks: { each: { filesync: { every: '1s', ttl: '2s' } } } } });
}, 240_000);

afterAll(async () => {
  await t?.down();
}, 60_000);

const folder = (name: string) => join(t.node(name).dir, 'shared');

async function giveFiles(name: string): Promise<void> {
  const { config, dir, address } = t.node(name);
  mkdirSync(folder(name), { recursive: true });
  giveTo(t.cluster.user, folder(name));
  const written = parse(readFileSync(config, 'utf8')) as Record<string, unknown>;
  const files = {
    home_dir: join(dir, 'syncthing'),
    rest_address: address,
    folders: [{ id: 'shared', path: folder(name) }],
  };
  writeFileSync(config, stringify({ ...written, files }));
  await t.stopAgent(name);
  await t.startAgent(name);
}

const rowsOf = async (name: string): Promise<Record<string, NodeRow>> =>
  Object.fromEntries(((await t.api(name).cluster()).nodes ?? []).map((row) => [row.name, row]));

const arrived = (name: string, what: string): boolean => {
  try {
    return readFileSync(join(folder(name), 'answer'), 'utf8') === what;
  } catch {
    return false;
  }
};

when(
  'files given later: not OK while nothing is replicated, with the reason; then every node tells its device, and they arrive',
  async () => {
    const active = await t.settled();
    const standbys = t.nodes.map(({ name }) => name).filter((name) => name !== active);
    for (const name of standbys) await giveFiles(name);
    await eventually('the standbys say that nothing is replicated', DEADLINE, async () => {
      const rows = await rowsOf(active);
      return standbys.every((name) => rows[name]?.online && rows[name].checks.filesync === false);
    });
    const [one = ''] = standbys;
    await eventually('the reason, and since when', DEADLINE, async () => {
      const { checks } = await t.api(one).status();
      const said = checks.filesync;
      return said?.ok === false && said.output.includes(`Syncthing's id of ${active} is not known`)
        ? / since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(said.output)
        : false;
    });
    await eventually('who differs is named', DEADLINE, async () => {
      const rows = await rowsOf(active);
      return rows[one]?.differs?.includes(`folders: has shared, ${active} has none`);
    });
    expect((await rowsOf(active))[active]?.differs).toEqual([]);

    await giveFiles(active);
    writeFileSync(join(folder(active), 'answer'), 'of the active');
    giveTo(t.cluster.user, join(folder(active), 'answer'));
    for (const name of standbys)
      await eventually(`${name} has the file`, DEADLINE, () => arrived(name, 'of the active'));
    await eventually('all is well, and the same everywhere', DEADLINE, async () => {
      const rows = Object.values(await rowsOf(active));
      return rows.every(({ checks, differs }) => checks.filesync && differs?.length === 0);
    });
    expect(await t.settled()).toBe(active);
  },
  400_000,
);
