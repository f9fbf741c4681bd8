/** `npm run lab -- ...`: the lab by hand, and its scenarios. */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { makeCluster } from './cluster.ts';
import { createLab, type Lab, openLab } from './lab.ts';
import { labPaths } from './names.ts';
import { missing } from './probe.ts';
import { labNames, ownerOf, reap } from './reap.ts';

const scenarios = join(import.meta.dirname, 'scenarios');
const named = () =>
  readdirSync(scenarios)
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.slice(0, -3));

const usage =
  () => `usage: npm run lab -- COMMAND [--name NAME] ...     (the name is "hand" unless told otherwise)
  SCENARIO                       runs a scenario in a lab of its own: ${named().join(', ') || 'none yet'}
  up [--nodes N]                 boots N VMs (3) that stay until "down"
  cluster [--nodes N]            the same, then makes managers and a cluster of them
  down [--all]                   takes it away
  ls                             the labs that are there
  exec [--user USER] NODE CMD... runs it in n1, n2...; a single word goes through sh
  client CMD...                  runs a program of this machine in the network of the outside clients
  copy NODE FILE PATH            copies a file in
  power-cut | boot | freeze | thaw | cut-off NODE
  heal                           every cable in, every cut away
  cut FROM TO [PORT]             drops packets from one VM (or "client") to another; "any" for any`;

const say = (line: string) => console.log(`lab: ${line}`);

/** Options stand between the command and its first other word: what follows may have options of its own. */
function parse(argv: readonly string[]): { command: string; options: Map<string, string>; rest: string[] } {
  const [command = '', ...rest] = argv;
  const options = new Map<string, string>();
  while (rest[0]?.startsWith('--')) {
    const name = rest.shift() ?? '';
    if (name === '--') break;
    options.set(name.slice(2), name === '--all' ? '' : (rest.shift() ?? ''));
  }
  return { command, options, rest };
}

const { command, options, rest } = parse(process.argv.slice(2));
const name = options.get('name') ?? 'hand';

function passThrough(argv: readonly string[]): number {
  const [file = '', ...args] = argv;
  return spawnSync(file, args, { stdio: 'inherit' }).status ?? 1;
}

async function demand(): Promise<void> {
  const reasons = await missing();
  if (reasons.length === 0) return;
  for (const reason of reasons) console.error(`lab: cannot run here: ${reason}`);
  process.exit(3);
}

async function up(): Promise<Lab> {
  await demand();
  const started = performance.now();
  const lab = await createLab({ name, nodes: Number(options.get('nodes') ?? 3), keep: true, say });
  for (const { id, ip, ip6 } of lab.machines) say(`${id} ${ip} ${ip6}`);
  say(`up after ${((performance.now() - started) / 1000).toFixed(1)} s; "down --name ${name}" takes it away`);
  return lab;
}

function list(): void {
  for (const lab of labNames()) say(`${lab}: ${ownerOf(labPaths(lab)) ?? 'left over'}`);
}

async function cut(lab: Lab): Promise<void> {
  const [from = 'any', to = 'any', port] = rest;
  await lab.cut({
    ...(from === 'any' ? {} : { from }),
    ...(to === 'any' ? {} : { to }),
    ...(port === undefined ? {} : { port: Number(port) }),
  });
}

const [first = '', ...others] = rest;
const byHand: Record<string, () => unknown> = {
  up,
  cluster: async () => makeCluster(await up(), { say }),
  down: () => {
    for (const lab of options.has('all') ? labNames() : [name]) reap(labPaths(lab));
  },
  ls: list,
  exec: () => {
    const given = others.length === 1 ? (others[0] ?? '') : others;
    const argv = openLab(name)
      .node(first)
      .command(given, { user: options.get('user') ?? 'root' });
    process.exitCode = passThrough(argv);
  },
  client: () => {
    process.exitCode = passThrough(openLab(name).asClient(rest));
  },
  copy: () =>
    openLab(name)
      .node(first)
      .copyIn(others[0] ?? '', others[1] ?? ''),
  'power-cut': () => openLab(name).node(first).powerCut(),
  boot: () => openLab(name).node(first).boot(),
  freeze: () => openLab(name).node(first).freeze(),
  thaw: () => openLab(name).node(first).thaw(),
  'cut-off': () => openLab(name).cutOff(first),
  heal: () => openLab(name).heal(),
  cut: () => cut(openLab(name)),
};

const run = byHand[command];
if (run) await run();
else if (named().includes(command)) {
  await demand();
  await import(join(scenarios, `${command}.ts`));
} else {
  console.error(usage());
  process.exitCode = command === '' || command === 'help' ? 0 : 2;
}
