/**
 * Who may import whom, as data. The first row whose `files` matches a file holds for it. `values` are what it may
 * import to run, `types` what it may further import with `import type`. Paths are from the top of the repository;
 * packages and node: modules are written as they are imported. The last row holds for the rest of agent/.
 */
export type Layer = { files: RegExp; why: string; values: RegExp[]; types: RegExp[] };

const outside = [/^node:/, /^(?!agent\/|cli\/|test\/)[@a-z]/];
const base = [/^agent\/(core|platform|config|errors|log|version)(\/|\.ts$)/];
const readingSide = [/^agent\/roles\/(.*\/)?(read|facts|query|port)[^/]*\.ts$/];

export const layers: Layer[] = [
  {
    files: /^agent\/core\//,
    why: 'the decision is pure: no package, no node: module, nothing but itself',
    values: [/^agent\/core\//],
    types: [],
  },
  {
    files: /^agent\/platform\//,
    why: 'the ground everything stands on',
    values: [/^agent\/(platform|errors|log)(\/|\.ts$)/, ...outside],
    types: [/^agent\/core\//],
  },
  {
    files: /^agent\/config(\/|\.ts$)/,
    why: 'read before anything else exists',
    values: [...base, ...outside],
    types: [],
  },
  {
    files: /^agent\/consul\//,
    why: 'knows Consul alone',
    values: [/^agent\/consul\//, ...base, ...outside],
    types: [],
  },
  {
    files: /^agent\/checks\//,
    why: 'a check observes: it never touches the acting side of a role',
    values: [/^agent\/(checks|consul)\//, ...readingSide, ...base, ...outside],
    types: [/^agent\/roles\//],
  },
  {
    files: /^agent\/roles\//,
    why: 'a handler acts for itself: it knows neither the checks nor who asked',
    values: [/^agent\/(roles|consul)\//, ...base, ...outside],
    types: [],
  },
  {
    files: /^agent\/trampoline\//,
    why: 'runs as root: nothing but its own folder is loaded',
    values: [/^agent\/trampoline\//, /^node:/],
    types: [/^agent\/config\.ts$/],
  },
  {
    files: /^agent\/install\//,
    why: 'prepares a machine before any agent runs: what it writes is rendered by the parts it is for',
    values: [
      /^agent\/(install|trampoline)\//,
      /^agent\/roles\/(files|firewall|postgres)\//,
      ...base,
      ...outside,
    ],
    types: [/^agent\//],
  },
  {
    files: /^agent\/http\//,
    why: 'the API reads facts and files requests; it never acts',
    values: [/^agent\/(http|consul)\//, ...base, ...outside],
    types: [/^agent\//],
  },
  {
    files: /^cli\//,
    why: 'the command line reaches the agent through its API; `agent run` alone starts one',
    values: [
      /^cli\//,
      /^agent\/(main|doctor|trampoline\/(run|answer)|roles\/postgres_helper\/index|lease_helper\/main)\.ts$/,
      /^agent\/(doctor|install)\//,
      /^agent\/http\/(.*\/)?client[^/]*\.ts$/,
      /^agent\/(platform|config|errors|log|version)(\/|\.ts$)/,
      ...outside,
    ],
    types: [/^agent\//],
  },
  {
    files: /^agent\//,
    why: 'the agent knows neither its command line nor its tests',
    values: [/^agent\//, /^package\.json$/, ...outside],
    types: [],
  },
];
