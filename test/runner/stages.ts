/** The stages of `npm test`, as data. */
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
  /**
   * `each`: one process per file, so that a hang costs that file alone. A number: all files in so many
   * processes.
   */
  processes: 'each' | number;
  /** Each process in a network namespace of its own, where this machine allows that. */
  ownNetwork: boolean;
  /** For one process. Then its process group is killed. */
  limitSeconds: number;
  /** For one test within, unless the test says otherwise. */
  testLimitMs: number;
  /**
   * Why it cannot run on this machine; then it is left out aloud, counted neither as passed nor as failed.
   */
  missing?: () => Promise<string[]>;
  /**
   * Done before its files are run, beside the stages that compute: its files would wait for each other to do
   * it.
   */
  prepare?: Command;
  /** Takes away what a test that was killed has left; returns what it was. */
  tidy?: () => string[];
};

export type Stage = {
  name: string;
  /** For `--list`. */
  what: string;
  /**
   * What it is short of. `cores`: it computes, and a test in it that waits too long fails. `spare`: it
   * computes without a clock in its tests, so it gives way to all others (`nice`). `time`: it waits for
   * servers. `clusters`: it has leases that run out, so nothing computes beside it. `machine`: it has whole
   * machines in it.
   */
  uses: 'cores' | 'spare' | 'time' | 'clusters' | 'machine';
  /** Left out of a whole run, where another stage does the same and more. */
  onlyAsked?: true;
} & ({ commands: Command[] } | { suite: Suite });

/** Names for several stages. */
export const groups: Record<string, { what: string; stages: string[] }> = {
  quick: {
    what: 'lint, types, unit and seeds: in about a minute, before every commit',
    stages: ['lint', 'types', 'unit', 'seeds'],
  },
};

export const stages: Stage[] = [
  {
    name: 'lint',
    what: 'form and common mistakes (biome)',
    uses: 'spare',
    commands: [
      { name: 'biome', argv: [`${bin}/biome`, 'ci', '.'], needs: ['biome.json'], limitSeconds: 300 },
    ],
  },
  {
    name: 'types',
    what: 'the types of everything, tests too (tsc)',
    uses: 'spare',
    commands: [
      {
        name: 'tsc',
        argv: [`${bin}/tsc`, '-p', 'tsconfig.json'],
        needs: ['tsconfig.json'],
        limitSeconds: 600,
      },
    ],
  },
  {
    name: 'unit',
    what: 'every test that needs no real server',
    uses: 'cores',
    suite: { folders: '*', processes: 4, ownNetwork: true, limitSeconds: 900, testLimitMs: 40_000 },
  },
  {
    name: 'deno',
    what: 'the sources under Deno: types, command line, HTTP, simulator',
    uses: 'spare',
    commands: [
      {
        name: 'deno check agent/ and cli/',
        argv: [`${bin}/deno`, 'check', '--node-modules-dir=manual', 'agent', 'cli'],
        needs: ['agent', 'cli'],
        limitSeconds: 900,
      },
      {
        name: 'the command line under Deno',
        argv: [...deno, 'cli/main.ts', '--help'],
        needs: ['cli/main.ts'],
        limitSeconds: 300,
      },
      {
        name: 'the HTTP app under Deno',
        argv: [...deno, 'test/deno/http.ts'],
        needs: ['test/deno/http.ts'],
        limitSeconds: 300,
      },
      {
        name: 'the simulator under Deno, 20 seeds',
        argv: [...deno, 'test/sim/main.ts', '--seeds', '20'],
        needs: ['test/sim/main.ts'],
        limitSeconds: 600,
      },
    ],
  },
  {
    name: 'seeds',
    what: '200 seeds of the simulator: the first of those in the stage simulator',
    uses: 'spare',
    onlyAsked: true,
    commands: [
      {
        name: 'the simulator, 200 seeds',
        argv: [`${bin}/bun`, 'test/sim/main.ts', '--seeds', '200'],
        needs: ['test/sim/main.ts'],
        limitSeconds: 900,
      },
    ],
  },
  {
    name: 'simulator',
    what: 'many seeds, and that each rule taken out of the core shows in one',
    uses: 'spare',
    suite: {
      folders: ['sim'],
      processes: 'each',
      ownNetwork: false,
      limitSeconds: 3100,
      testLimitMs: 600_000,
    },
  },
  {
    name: 'contract',
    what: 'the clients of Consul, PostgreSQL and Syncthing against real ones, and test/cases',
    uses: 'time',
    suite: {
      folders: ['contract', 'cases'],
      processes: 'each',
      ownNetwork: true,
      limitSeconds: 1200,
      testLimitMs: 180_000,
    },
  },
  {
    name: 'dev-cluster',
    what: 'whole clusters on loopback, with all that can befall them',
    uses: 'clusters',
    suite: {
      folders: ['dev'],
      processes: 'each',
      ownNetwork: true,
      limitSeconds: 1200,
      testLimitMs: 480_000,
    },
  },
  {
    name: 'lab',
    what: 'managers on virtual machines; docs/testing.md has what that needs',
    uses: 'machine',
    suite: {
      folders: ['lab'],
      processes: 'each',
      ownNetwork: false,
      limitSeconds: 1200,
      testLimitMs: 240_000,
      missing,
      prepare: {
        name: 'the base tree of the virtual machines',
        argv: [`${bin}/bun`, 'test/lab/tree/main.ts'],
        needs: ['test/lab/tree/main.ts'],
        limitSeconds: 900,
      },
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
