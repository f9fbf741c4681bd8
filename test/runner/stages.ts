/** The stages of `npm test`, as data, in the order they run. */
import { missing } from '../lab/probe.ts';
import { reapLeftovers } from '../lab/reap.ts';

const bin = 'node_modules/.bin';
const deno = [`${bin}/deno`, 'run', '-A', '--node-modules-dir=manual'];

/** One command that counts as one test: it passed when it exits 0. */
export type Command = {
  name: string;
  argv: string[];
  /** Files that must be there for the command to mean anything. */
  needs: string[];
  limitSeconds: number;
};

/** Test files run by `bun test`. */
export type Suite = {
  /** Folders under test/; `*` is every test file that no other suite names. */
  folders: string[] | '*';
  /** True: one process per file, one after the other, so that a hang costs that file alone. */
  apart: boolean;
  /** So many files at a time, each in a network namespace of its own; where this machine allows none, one after the other. */
  lanes?: number;
  /** For one process: a file when apart, else the whole suite. Then its process group is killed. */
  limitSeconds: number;
  /** For one test within, unless the test says otherwise. */
  testLimitMs: number;
  /** Why it cannot run on this machine; then it is left out aloud, counted neither as passed nor as failed. */
  missing?: () => Promise<string[]>;
  /** Takes away what a test that was killed has left; returns what it was. */
  tidy?: () => string[];
};

export type Stage = { name: string; commands: Command[] } | { name: string; suite: Suite };

export const stages: Stage[] = [
  {
    name: 'lint',
    commands: [
      { name: 'biome', argv: [`${bin}/biome`, 'ci', '.'], needs: ['biome.json'], limitSeconds: 120 },
    ],
  },
  {
    name: 'types',
    commands: [
      {
        name: 'tsc',
        argv: [`${bin}/tsc`, '-p', 'tsconfig.json'],
        needs: ['tsconfig.json'],
        limitSeconds: 300,
      },
    ],
  },
  {
    name: 'deno',
    commands: [
      {
        name: 'deno check agent/ and cli/',
        argv: [`${bin}/deno`, 'check', '--node-modules-dir=manual', 'agent', 'cli'],
        needs: ['agent', 'cli'],
        limitSeconds: 300,
      },
      {
        name: 'the command line under Deno',
        argv: [...deno, 'cli/main.ts', '--help'],
        needs: ['cli/main.ts'],
        limitSeconds: 60,
      },
      {
        name: 'the HTTP app under Deno',
        argv: [...deno, 'test/deno/http.ts'],
        needs: ['test/deno/http.ts'],
        limitSeconds: 60,
      },
      {
        name: 'the simulator under Deno, 20 seeds',
        argv: [...deno, 'test/sim/main.ts', '--seeds', '20'],
        needs: ['test/sim/main.ts'],
        limitSeconds: 120,
      },
    ],
  },
  { name: 'unit', suite: { folders: '*', apart: false, limitSeconds: 900, testLimitMs: 40_000 } },
  { name: 'simulator', suite: { folders: ['sim'], apart: true, limitSeconds: 1600, testLimitMs: 600_000 } },
  {
    name: 'contract',
    suite: {
      folders: ['contract', 'cases'],
      apart: true,
      lanes: 2,
      limitSeconds: 1200,
      testLimitMs: 180_000,
    },
  },
  {
    name: 'dev-cluster',
    suite: { folders: ['dev'], apart: true, lanes: 2, limitSeconds: 1200, testLimitMs: 480_000 },
  },
  {
    name: 'lab',
    suite: {
      folders: ['lab'],
      apart: true,
      limitSeconds: 600,
      testLimitMs: 240_000,
      missing,
      tidy: reapLeftovers,
    },
  },
];

/** Folders that `*` leaves out besides those of the other suites: programs, not tests. */
export const notUnit = ['demo', 'bench', 'deno'];

/** Folders the unit stage is known to have: one without tests is named aloud. */
export const unitFolders = [
  'core',
  'consul',
  'checks',
  'roles',
  'http',
  'platform',
  'cli',
  'config',
  'structure',
  'membership',
  'node',
  'daemon',
  'security',
  'install',
  'doctor',
];
