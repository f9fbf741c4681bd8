/**
 * `npm run lab -- tablespaces`: a tablespace is made on the active. One standby may make its folder itself,
 * the other says what is missing and goes on once it is there; then it is copied anew and takes over.
 */
import process from 'node:process';
import { AGENT } from '../binary.ts';
import { makeCluster } from '../cluster.ts';
import { until } from '../host.ts';
import { createLab } from '../lab.ts';

const PLACE = '/srv/space/a';
const say = (line: string) => console.log(`tablespaces: ${line}`);
const lab = await createLab({ name: 'tablespaces', nodes: 3, say });
try {
  const cluster = await makeCluster(lab, { say });
  const sql = (id: string, text: string) =>
    lab
      .node(id)
      .must(['psql', '-XtA', '-d', 'manager', '-v', 'ON_ERROR_STOP=1', '-c', text], { user: 'postgres' });
  const make = (id: string, path: string) =>
    lab.node(id).must(['install', '-d', '-o', 'postgres', '-m', '700', path]);
  // Of a node that is down the command fails, and says so all the same.
  const reason = async (id: string) => (await lab.node(id).exec([AGENT, 'status'])).stdout;

  await make('n1', PLACE);
  await make('n2', '/srv/space');
  await sql('n1', `create tablespace a location '${PLACE}'`);
  await sql('n1', 'create table placed tablespace a as select generate_series(1, 1000) as i');
  const command = `install -d -o postgres -m 700 ${PLACE}`;
  await cluster
    .step('n3 says what it lacks', () =>
      until('the command in the status of n3', 60_000, async () => (await reason('n3')).includes(command)),
    )
    .catch(async (cause) => {
      throw new Error(`${String(cause)}\n${await reason('n3')}\n${await cluster.lastWords()}`);
    });
  say((await reason('n3')).split('\n').find((line) => line.includes(command)) ?? '');
  await cluster.step('n2 made it', () =>
    until('n2 is a voter', 90_000, async () =>
      (await cluster.status())?.sync?.voters.some(({ node }) => node === 'n2'),
    ),
  );
  await lab.node('n3').must(command);
  await cluster.step('n3 goes on', () => cluster.settled(120_000));

  const clone = async () => (await cluster.status())?.sync?.voters.find(({ node }) => node === 'n3')?.clone;
  const before = await clone();
  await cluster.agent('n1', ['cluster', 'reinit', 'n3']);
  await cluster.step('n3 has a new copy', () =>
    until('another clone of n3', 120_000, async () => {
      const now = await clone();
      return now !== undefined && now !== before;
    }),
  );
  await cluster.settled(120_000);
  await cluster.step('n3 takes over', () => cluster.agent('n1', ['cluster', 'set-active', 'n3']));
  await cluster.settled(120_000);
  const count = (await sql('n3', 'select count(*) from placed')).trim();
  say(`${count} rows on n3`);
  if (count !== '1000') process.exitCode = 1;
} finally {
  lab.down();
}
