/**
 * `npm run lab -- files`: 10,000 small files and one of 1 GB on the active. After a switchover nothing is
 * missing; after a power cut whatever is missing is reported, and archived when the old active returns.
 */
import process from 'node:process';
import { AGENT } from '../binary.ts';
import { type Cluster, makeCluster } from '../cluster.ts';
import { until } from '../host.ts';
import { createLab } from '../lab.ts';
import type { Machine } from '../machine.ts';

const DIR = '/opt/manager/resources';
const say = (line: string) => console.log(`files: ${line}`);
const problems: string[] = [];
const expectThat = (good: boolean, what: string) => {
  say(`${good ? 'ok' : 'WRONG'}: ${what}`);
  if (!good) problems.push(what);
};

/**
 * Every name with its kind, mode, owner, size or target: one line each. Syncthing's own names are left out.
 */
const TREE = `cd ${DIR} && find . -mindepth 1 \\( -path './.st*' -prune -o -type d -printf '%p %y %m %u\\n' -o -printf '%p %y %m %u %s:%l\\n' \\) | LC_ALL=C sort`;
const CONTENT = `cd ${DIR} && find . \\( -path './.st*' -o -name '*.pid' \\) -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum`;
const tree = async (vm: Machine): Promise<string[]> =>
  (await vm.must(TREE))
    .trim()
    .split('\n')
    .filter((line) => !line.includes('.pid '));
const content = (vm: Machine): Promise<string> => vm.must(CONTENT, { timeout: 120_000 });

const WRITE_SMALL = `
import os
root = '${DIR}/small'
for d in range(100):
    os.makedirs(f'{root}/{d}')
    for f in range(100):
        with open(f'{root}/{d}/{f}', 'w') as out: out.write(f'{d} {f} ' * (f % 50))
os.makedirs('${DIR}/empty')
os.symlink('small/1/1', '${DIR}/link')
with open('${DIR}/pläne und 文', 'w') as out: out.write('x')
with open('${DIR}/secret', 'w') as out: out.write('x')
os.chmod('${DIR}/secret', 0o600)
`;

type Detail = { checks: { filesync: boolean } };
const filesync = async (cluster: Cluster, id: string): Promise<boolean> =>
  (await cluster.json<Detail>(id, ['cluster', 'nodes', 'get', id])).checks.filesync;

const lab = await createLab({ name: process.env.LAB_NAME ?? 'files', nodes: 3, say });
try {
  for (const vm of lab.machines) await vm.must(`mkdir -p ${DIR}`);
  const cluster = await makeCluster(lab, {
    say,
    yaml: `files:\n  folders:\n    - { id: resources, path: ${DIR}, ignore: ['*.pid'] }\n`,
  });
  for (const vm of lab.machines) await vm.must(`chown mgmtworker: ${DIR}`);
  const first = await cluster.active();
  const [target, third] = lab.machines.filter(({ id }) => id !== first.id) as [Machine, Machine];

  await cluster.step('10,000 small files and one of 1 GB written', async () => {
    await first.must(['python3', '-c', WRITE_SMALL], { user: 'mgmtworker', timeout: 60_000 });
    await first.must(`head -c 1G /dev/urandom >${DIR}/large && echo 1 >${DIR}/worker.pid`, {
      user: 'mgmtworker',
      timeout: 120_000,
    });
  });
  const written = await tree(first);
  const sum = await content(first);
  await cluster.step(`switchover to ${target.id}, asked for at once`, () =>
    until('the target takes over', 300_000, async () => {
      const asked = await first.exec([AGENT, 'cluster', 'set-active', target.id, '--timeout', '120'], {
        timeout: 130_000,
      });
      if (asked.code !== 0) say(`not yet: ${asked.stderr.trim().split('\n')[0]}`);
      return asked.code === 0 ? true : undefined;
    }),
  );
  const there = await tree(target);
  const missing = written.filter((line) => !there.includes(line));
  expectThat(
    missing.length === 0,
    `nothing is missing, with modes and owners: ${missing.slice(0, 5).join(' | ')}`,
  );
  expectThat((await content(target)) === sum, 'the contents are the same');
  await cluster.step('settled', () => cluster.settled(120_000));
  for (const { id } of lab.machines) expectThat(await filesync(cluster, id), `filesync is good on ${id}`);

  const late = await target.must(
    `head -c 300M /dev/urandom >${DIR}/late-large && for n in $(seq 500); do echo $n >${DIR}/late-$n; done; ls ${DIR} | grep ^late | wc -l`,
    { user: 'mgmtworker', timeout: 120_000 },
  );
  await target.powerCut();
  const all = ['late-large', ...Array.from({ length: 500 }, (_, n) => `late-${n + 1}`)];
  const next = await cluster.step('another active', () =>
    until('another active', 60_000, async () => {
      const id = (await cluster.status())?.active;
      return id && id !== target.id ? lab.node(id) : undefined;
    }),
  );
  await next.must('sleep 3');
  const names = async (vm: Machine) =>
    new Set(
      (await tree(vm))
        .map((line) => line.split(' ')[0]?.slice(2) ?? '')
        .filter((name) => name.startsWith('late')),
    );
  const arrived = await names(next);
  say(`${arrived.size} of ${late.trim()} late files had arrived on ${next.id}`);
  const told = await reported(next);
  say(`${all.filter((name) => told.has(name)).length} are reported as missing by ${next.id}`);
  await cluster.step(`${target.id} boots and follows`, async () => {
    await target.boot();
    await cluster.settled(180_000);
  });
  await cluster.step(`${target.id} has what ${next.id} has`, () =>
    until('the same tree', 120_000, async () => (await tree(target)).join() === (await tree(next)).join()),
  );
  const saved = await reported(target);
  say(`${all.filter((name) => saved.has(name)).length} are saved on ${target.id}`);
  const now = await names(next);
  const silent = all.filter((name) => !now.has(name) && !saved.has(name));
  expectThat(silent.length === 0, `no file is lost without a word: ${silent.slice(0, 5).join(' ')}`);
  expectThat((await content(target)) === (await content(next)), `${target.id} is as ${next.id} again`);
  expectThat((await content(third)) === (await content(next)), `${third.id} is as ${next.id}`);
} finally {
  lab.down();
}
if (problems.length > 0) process.exitCode = 1;

/** Names in every manifest about files on this VM. */
async function reported(vm: Machine): Promise<Set<string>> {
  const { stdout } = await vm.exec(
    `python3 -c "import json,glob
for m in glob.glob('/var/lib/cloudify/diverged/*/manifest.json'):
    for f in json.load(open(m)).get('files', []): print(f['path'])"`,
  );
  return new Set(stdout.trim().split('\n'));
}
