import { expect, test } from 'bun:test';
import { isIP } from 'node:net';
import { parsePolicy } from '../../agent/trampoline/policy.ts';
import { runTrampoline } from '../../agent/trampoline/run.ts';
import { Random } from '../sim/random.ts';
import { fakeRoot, policy } from './fake_root.ts';

const UNITS = [...policy.units, ...policy.managerUnits];
const ACTIONS = ['start', 'stop', 'restart', 'reload', 'status', 'kill'];
/** Everything but `peers` that may be asked, written out: what the code allows beyond this is a hole. */
const ALLOWED = new Set([
  ...ACTIONS.flatMap((action) => UNITS.map((unit) => JSON.stringify(['service', action, unit]))),
  ...['active', 'standby', 'fenced'].map((role) => JSON.stringify(['firewall', role])),
  ...['take', 'give'].map((way) => JSON.stringify(['units', way])),
  JSON.stringify(['consul', 'wipe']),
  JSON.stringify(['files', 'wipe']),
]);
const isAllowed = (argv: readonly string[]): boolean =>
  ALLOWED.has(JSON.stringify(argv)) ||
  (argv[0] === 'peers' && argv.slice(1).every((word) => isIP(word) !== 0 && !word.includes('%')));

const RULES = Object.fromEntries(
  ['active', 'standby', 'fenced'].flatMap((role) =>
    ['v4', 'v6'].map((family) => [`${policy.firewallDir}/${role}.${family}`, 'rules']),
  ),
);

const WORDS = [
  ...[
    'service',
    'firewall',
    'peers',
    'units',
    'consul',
    'files',
    ...ACTIONS,
    'wipe',
    'take',
    'give',
    'active',
  ],
  ...[
    'fenced',
    ...UNITS,
    ...policy.distributionUnits,
    'ssh.service',
    'a.mount',
    '--',
    '--help',
    '--root=/tmp',
    '-H',
  ],
  ...[
    '10.0.0.1',
    '::1',
    'fe80::1%lo',
    '0.0.0.0/0',
    '/etc/shadow',
    '../x',
    '$(id)',
    '`id`',
    '|',
    ';',
    '&&',
    '\n',
  ],
  ...['\0', '', ' ', '*', '__proto__', 'toString', 'é', '\u202e', '\ud800', 'a'.repeat(5000)],
];

/** Words at random, or a call that is allowed with something in it changed. */
function randomCall(random: Random): string[] {
  const words = random.chance(0.5)
    ? Array.from({ length: random.int(5) }, () => random.pick(WORDS))
    : (JSON.parse(random.pick([...ALLOWED])) as string[]);
  if (random.chance(0.1) || words.length === 0) return words;
  const at = random.int(words.length);
  const word = words[at] ?? '';
  const cut = random.int(word.length + 1);
  words[at] = `${word.slice(0, cut)}${random.pick(WORDS).slice(0, 8)}${word.slice(cut + random.int(2))}`;
  return words;
}

test('50,000 random calls: whatever is not on the list is refused, logged and runs nothing', () => {
  const random = new Random(20261122);
  let carried = 0;
  for (let i = 0; i < 50_000; i++) {
    const argv = randomCall(random);
    const user = random.pick(['cfyuser', 'cfyuser', 'postgres', 'nobody']);
    const root = fakeRoot({ user, files: RULES, answer: () => ({ stdout: 'inactive\n' }) });
    const code = runTrampoline(argv, root);
    expect(root.logged.length).toBe(1);
    if (isAllowed(argv) && code !== 2) carried++;
    else expect([argv, code, root.ran]).toEqual([argv, 2, []]);
  }
  expect(carried).toBeGreaterThan(100);
});

test('10,000 damaged policies: each is refused, or still names only units, users and plain paths', () => {
  const random = new Random(7);
  const text = JSON.stringify(policy);
  let kept = 0;
  for (let i = 0; i < 10_000; i++) {
    const at = random.int(text.length);
    const put = random.pick(['', '"', '/', '..', '-', ' ', ',', '\\n', 'x', '0', '[]', '{', ';', '$']);
    const parsed = parsePolicy(text.slice(0, at) + put + text.slice(at + random.int(3)));
    if (!parsed) continue;
    kept++;
    for (const unit of [...parsed.units, ...parsed.managerUnits, ...parsed.distributionUnits])
      expect(unit).toMatch(/^[A-Za-z0-9_][^\s/;$"]*\.service$/);
    for (const path of [parsed.firewallDir, parsed.consulDataDir]) {
      expect(path).toMatch(/^\/[^\s;$"]+$/);
      expect(path.split('/')).not.toContain('..');
    }
  }
  expect(kept).toBeGreaterThan(1000);
});
