/** N VMs on a bridge, and clients outside. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { cacheDir } from './host.ts';
import { Machine } from './machine.ts';
import { CLIENT, type LabPaths, labPaths, nodePlace } from './names.ts';
import { addCut, type Cut, clearCuts, makeNetwork, plug, unplug, within } from './network.ts';
import { KEPT, ownerOf, reap } from './reap.ts';
import { ensureTree } from './tree/tree.ts';

export interface LabOptions {
  readonly name: string;
  /** Default 3. */
  readonly nodes?: number;
  /** It outlives this process: `npm run lab -- up`. */
  readonly keep?: boolean;
  readonly say?: (line: string) => void;
}

interface Saved {
  readonly nodes: number;
  readonly tree: string;
}

const savedFile = (paths: LabPaths) => join(paths.dir, 'lab.json');
/** Labs that this process must take down when it ends. */
const mine = new Set<LabPaths>();

function releaseAll(): void {
  for (const paths of mine) {
    mine.delete(paths);
    reap(paths);
  }
}
process.on('exit', releaseAll);
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  process.once(signal, () => {
    releaseAll();
    process.exit(code);
  });
}

export class Lab {
  readonly paths: LabPaths;
  readonly machines: readonly Machine[];

  constructor(paths: LabPaths, { nodes, tree }: Saved) {
    this.paths = paths;
    const places = Array.from({ length: nodes }, (_, index) => nodePlace(paths, index + 1));
    const hosts = [
      '127.0.0.1 localhost',
      '::1 localhost',
      ...places.flatMap(({ ip, ip6, id }) => [`${ip} ${id}`, `${ip6} ${id}`]),
    ];
    this.machines = places.map((place) => new Machine(place, tree, `${hosts.join('\n')}\n`));
  }

  node(id: string): Machine {
    const found = this.machines.find((machine) => machine.id === id);
    if (!found) throw new Error(`no VM ${id}: ${this.machines.map((machine) => machine.id).join(', ')}`);
    return found;
  }

  /** A host's command that runs where the outside clients are: with the host's files, on the lab's bridge. */
  asClient(argv: readonly string[]): string[] {
    return within(this.paths.client, argv);
  }

  /** No cable: neither VM nor client reaches it. */
  async cutOff(id: string): Promise<void> {
    await unplug(this.node(id).place);
  }

  /** Stops packets `from` one `to` another (`n1`..., or `client`), all or those of one port. */
  async cut(cut: Cut): Promise<void> {
    await addCut(this.paths, cut);
  }

  /** Every cable in, every cut away. */
  async heal(): Promise<void> {
    await clearCuts(this.paths);
    for (const machine of this.machines) await plug(machine.place);
  }

  down(): void {
    mine.delete(this.paths);
    reap(this.paths);
  }
}

/**
 * Makes the lab's folder with its owner in it at once: one without an owner is taken away by whoever tidies
 * up beside.
 */
function claim(paths: LabPaths): void {
  const folder = join(cacheDir(), 'claims', `${paths.name}.${process.pid}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'owner'), `${process.pid}`);
  mkdirSync(dirname(paths.dir), { recursive: true });
  renameSync(folder, paths.dir);
}

/** Boots the VMs. Reaps what an earlier run of that name left; refuses when another holds it. */
export async function createLab(options: LabOptions): Promise<Lab> {
  const paths = labPaths(options.name);
  const say = options.say ?? (() => {});
  const owner = ownerOf(paths);
  if (owner !== undefined) {
    const why = owner === KEPT ? 'it was started to stay; take it down first' : `process ${owner} holds it`;
    throw new Error(`lab ${options.name} is in use: ${why}`);
  }
  reap(paths);
  claim(paths);
  mine.add(paths);
  try {
    const saved = { nodes: options.nodes ?? 3, tree: await ensureTree(say) };
    const lab = new Lab(paths, saved);
    await makeNetwork(paths);
    for (const machine of lab.machines) await machine.create();
    for (const machine of lab.machines) await machine.powerOn();
    for (const machine of lab.machines) await machine.ready();
    writeFileSync(savedFile(paths), JSON.stringify(saved));
    if (options.keep) {
      writeFileSync(join(paths.dir, 'owner'), KEPT);
      mine.delete(paths);
    }
    return lab;
  } catch (cause) {
    mine.delete(paths);
    reap(paths);
    throw cause;
  }
}

/** A lab that is up, made by whomever. */
export function openLab(name: string): Lab {
  const paths = labPaths(name);
  if (!existsSync(savedFile(paths)))
    throw new Error(`lab ${name} is not up: npm run lab -- up --name ${name}`);
  return new Lab(paths, JSON.parse(readFileSync(savedFile(paths), 'utf8')) as Saved);
}

export { CLIENT };
