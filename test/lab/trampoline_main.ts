/** `npm run lab -- trampoline`: the attacks, then the allowed calls. Exit code 1 if anything got through. */
import process from 'node:process';
import { Random } from '../sim/random.ts';
import { createLab, openLab } from './lab.ts';
import type { Machine } from './machine.ts';
import { attackOnce, builtExecutable, EVIL, LOG, PWNED, prepare, SUDO } from './trampoline.ts';
import { ATTACKS } from './trampoline_attacks.ts';
import { Sockets } from './trampoline_socket.ts';

const named = process.env.LAB_NAME;
const lab = named === undefined ? await createLab({ name: 'trampoline', nodes: 1 }) : openLab(named);
const node = lab.node('n1');
let failures = 0;
const report = (name: string, problem: string | undefined) => {
  if (problem !== undefined) failures++;
  console.log(problem === undefined ? `ok ${name}` : `FAILED ${name}: ${problem}`);
};
const as = (call: string, user = 'cfyuser') =>
  node.exec(`${SUDO.join(' ')} ${call}`, { user, timeout: 120_000 });

/** Everything that a program of the attacker's could be started by. */
async function layTraps(): Promise<void> {
  const program = `#!/bin/sh\ntouch ${PWNED}\n`;
  for (const name of ['systemctl', 'iptables-restore', 'ipset', 'logger', 'find', 'setpriv'])
    await node.writeFile(`${EVIL}/${name}`, program, '0755', 'cfyuser');
  const script = `require('fs').writeFileSync(process.getuid() === 0 ? '${PWNED}' : '${EVIL}/ran', '');\n`;
  await node.writeFile(`${EVIL}/evil.js`, script, '0644', 'cfyuser');
  await node.writeFile(`${EVIL}/bunfig.toml`, `preload = ["${EVIL}/evil.js"]\n`, '0644', 'cfyuser');
  await node.writeFile(`${EVIL}/.bunfig.toml`, `preload = ["${EVIL}/evil.js"]\n`, '0644', 'cfyuser');
  await node.writeFile(
    `${EVIL}/.env`,
    `BUN_OPTIONS=--preload=${EVIL}/evil.js\nSUDO_USER=root\n`,
    '0644',
    'cfyuser',
  );
  await node.writeFile(`${EVIL}/package.json`, '{"imports":{"#x":"./evil.js"}}', '0644', 'cfyuser');
  await node.writeFile(`${EVIL}/rules`, '*filter\n-A INPUT -j DROP\nCOMMIT\n', '0644', 'cfyuser');
}

/**
 * Without sudo's cleaning the environment does take the executable over: else the attacks above would show
 * nothing.
 */
async function theTrapsAreReal(): Promise<void> {
  const { stdout } = await node.exec(['/opt/cloudify/agent', '--version'], {
    user: 'cfyuser',
    env: { BUN_BE_BUN: '1' },
  });
  report(
    'control: BUN_BE_BUN does turn the executable into bun',
    /^\d+\.\d+/.test(stdout) ? undefined : stdout,
  );
  await node.exec(['/opt/cloudify/agent', '--version'], {
    user: 'cfyuser',
    env: { BUN_OPTIONS: `--preload=${EVIL}/evil.js` },
  });
  const ran = (await node.exec(['rm', `${EVIL}/ran`])).code === 0;
  report('control: BUN_OPTIONS does load a file into the executable', ran ? undefined : 'it did not');
}

/** A policy exchanged all the time under a folder that is the attacker's: never believed. */
async function policyRace(): Promise<void> {
  await node.must('cp -a /etc/cloudify /root/etc; chown cfyuser /etc/cloudify');
  await node.writeFile(
    `${EVIL}/policy`,
    (await node.readFile('/etc/cloudify/trampoline.json')).replace('worker.service', 'dbus.service'),
    '0644',
    'cfyuser',
  );
  const { stdout } = await node.exec(
    `cd /etc/cloudify; (while :; do ln -f ${EVIL}/policy n && mv -f n trampoline.json; cp -f ${EVIL}/policy c && mv -f c trampoline.json; done) 2>/dev/null & r=$!
     for i in $(seq 40); do ${SUDO.join(' ')} service status dbus.service 2>/dev/null; echo $?; done; kill $r`,
    { user: 'cfyuser' },
  );
  await node.must(
    'rm -rf /etc/cloudify; cp -a /root/etc /etc/cloudify; chown root:cluster /etc/cloudify; rm -rf /root/etc',
  );
  const codes = stdout.trim().split('\n');
  report(
    'race: a policy exchanged 40 times',
    codes.length === 40 && codes.every((code) => code === '2') ? undefined : stdout,
  );
}

/** Links laid into the Consul data while it is emptied: the victim, which only root may write, stays. */
async function wipeRace(): Promise<void> {
  await node.must('mkdir -p /root/../srv/victim && touch /srv/victim/kept && chmod 755 /srv/victim');
  const data = '/var/lib/cloudify/consul';
  const race = node.exec(
    `end=$(($(date +%s) + 4)); while [ $(date +%s) -lt $end ]; do
       mkdir -p ${data}/a/b; touch ${data}/a/b/kept; mv ${data}/a ${data}/x$$ 2>/dev/null; ln -sfn /srv/victim ${data}/a; rm -rf ${data}/x$$ ${data}/a
     done 2>/dev/null`,
    { user: 'cfyuser_consul' },
  );
  for (let i = 0; i < 25; i++) await as('consul wipe');
  await race;
  const { code } = await node.exec(['test', '-e', '/srv/victim/kept']);
  await as('consul wipe');
  const left = await node.must(['find', data, '-mindepth', '1']);
  report(
    'race: links in the data that is emptied',
    code === 0 && left === '' ? undefined : `victim ${code}, left ${left}`,
  );
}

async function randomCalls(count: number): Promise<void> {
  const random = new Random(99);
  const words = [
    'service',
    'start',
    'stop',
    'firewall',
    'peers',
    'units',
    'consul',
    'wipe',
    'dbus.service',
    '--',
    '-x',
    '../',
    '$HOME',
    ';',
    '10.0.0.1/8',
    '::',
    '%',
    '*',
    '`id`',
    '\n',
    'worker.service ',
  ];
  const calls = Array.from({ length: count }, () =>
    Array.from({ length: random.int(4) }, () => `'${random.pick(words)}${random.pick(words)}'`).join(' '),
  );
  const text = calls.map((call) => `${SUDO.join(' ')} ${call} 2>/dev/null; echo $?`).join('\n');
  const { stdout } = await node.exec(text, { user: 'cfyuser', timeout: 120_000 });
  const codes = stdout.trim().split('\n');
  report(
    `${count} random calls through sudo`,
    codes.length === count && codes.every((code) => code === '2') ? undefined : stdout.slice(0, 300),
  );
}

type Way = (call: string) => Promise<{ code: number | null; stdout: string; stderr: string }>;

async function theAllowedWork(target: Machine, how: string, ask: Way): Promise<void> {
  const expectations: [string, string, string][] = [
    ['service start worker.service', 'sleep 0.2; systemctl is-active worker', 'active'],
    ['service kill worker.service', 'sleep 0.2; systemctl is-active worker; true', 'failed'],
    ['service start worker.service', 'sleep 0.2; systemctl is-active worker', 'active'],
    ['service stop worker.service', 'sleep 0.3; systemctl is-active worker; true', 'inactive'],
    ['firewall fenced', "iptables -S CFY-TEST | grep -o 'fenced .*'", 'fenced -j DROP'],
    ['firewall active', "ip6tables -S CFY-TEST | grep -o 'active .*'", 'active -j DROP'],
    [
      'peers 10.77.0.12 fd77::12',
      "ipset save cloudify-peers4 | grep -o 'add.*'",
      'add cloudify-peers4 10.77.0.12',
    ],
    ['peers 10.77.0.13', "ipset list -o save | grep -o 'add.*'", 'add cloudify-peers4 10.77.0.13'],
  ];
  for (const [call, look, wanted] of expectations) {
    const { code, stderr } = await ask(call);
    const { stdout } = await target.exec(look);
    const right = code === 0 && stdout.trim() === wanted;
    report(`allowed ${how}: ${call}`, right ? undefined : `exit ${code} ${stderr}: ${stdout}`);
  }
}

/** What the distribution's server and the manager's services were, they are again. */
async function unitsTakenAndGiven(how: string, ask: Way): Promise<void> {
  await node.must(
    'test -d /etc/postgresql/15/main || pg_createcluster 15 main; systemctl daemon-reload; systemctl start postgresql@15-main; systemctl enable -q --now worker',
    { timeout: 120_000 },
  );
  const look = () =>
    node.must(
      'for u in postgresql.service postgresql@15-main.service worker.service cloudify-iptables-restore.service; do systemctl show -p Id,UnitFileState,ActiveState,LoadState $u; done',
    );
  const before = await look();
  for (const way of ['take', 'take']) report(`units ${way} ${how}`, said(await ask(`units ${way}`)));
  const taken = await look();
  const masked = taken.match(/LoadState=masked\nActiveState=inactive/g)?.length ?? 0;
  report('units taken: the server is masked and stopped', masked === 2 ? undefined : taken);
  report(
    'units taken: it does not start',
    (await node.exec('systemctl start postgresql@15-main')).code !== 0 ? undefined : 'it does',
  );
  report(`units give ${how}`, said(await ask('units give')));
  const after = await look();
  report('units given back are as they were', after === before ? undefined : `${before}\n---\n${after}`);
}
const said = ({ code, stderr }: { code: number | null; stderr: string }) => (code === 0 ? undefined : stderr);

async function theLogIsWhole(): Promise<void> {
  const lines = (await node.readFile(LOG)).trim().split('\n');
  const broken = lines.filter((line) => line.length > 2000 || !/^\{"time":"2/.test(line));
  report(
    `the log: ${lines.length} lines, each its own`,
    broken.length === 0 ? undefined : broken[0]?.slice(0, 200),
  );
  const mode = (await node.must(['stat', '-c', '%U %a', LOG, '/var/log/cloudify-root'])).trim();
  report('the log is root’s alone', mode === 'root 600\nroot 700' ? undefined : mode);
  const journal = Number(await node.must('journalctl -q -t sudo_trampoline | grep -c refused'));
  report(`the journal has refusals as well (${journal})`, journal > 50 ? undefined : String(journal));
}

const { file, release } = builtExecutable();
try {
  await prepare(node, file);
  await layTraps();
  await theTrapsAreReal();
  for (const attack of ATTACKS) report(attack.name, await attackOnce(node, attack));
  await policyRace();
  await wipeRace();
  await randomCalls(200);
  await theAllowedWork(node, 'through sudo', as);
  await unitsTakenAndGiven('through sudo', as);
  const sockets = new Sockets(node, report);
  await sockets.prepare();
  const overSocket: Way = (call) => sockets.call(call);
  await sockets.attacks();
  await theAllowedWork(node, 'over the socket', overSocket);
  await unitsTakenAndGiven('over the socket', overSocket);
  report('consul wipe over the socket', said(await overSocket('consul wipe')));
  await sockets.carriedOut();
  await sockets.flood();
  await sockets.times();
  await theLogIsWhole();
  await sockets.atShutdown();
} finally {
  release();
  if (named === undefined) lab.down();
}
console.log(failures === 0 ? 'nothing got through' : `${failures} FAILED`);
process.exitCode = failures === 0 ? 0 : 1;
