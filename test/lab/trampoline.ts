/**
 * The trampoline attacked on a VM: as cfyuser and as postgres, through the real sudo with the sudoers file
 * that install writes. What must hold: nothing but the listed calls does anything, and every refusal is
 * logged.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { makeConfig } from '../../agent/config/index.ts';
import { renderSudoers } from '../../agent/install/accounts.ts';
import { POLICY_FILE } from '../../agent/trampoline/names.ts';
import { renderPolicy } from '../../agent/trampoline/policy.ts';
import type { Machine } from './machine.ts';

export const SUDO = ['sudo', '-n', '/opt/cloudify/sudo_trampoline'] as const;
export const LOG = '/var/log/cloudify-root/trampoline.log';
export const EVIL = '/tmp/evil';
/** Exists once something of the attacker's ran as root. */
export const PWNED = '/root/pwned';

const config = makeConfig({ services: [{ name: 'worker', unit: 'worker.service' }] });

const worker = (over = '') =>
  `[Service]\nUser=cfyuser\nExecStart=/bin/sleep infinity\nTimeoutStopSec=3\n${over}\n[Install]\nWantedBy=multi-user.target\n`;

/** The executable as build.ts makes it, in a folder of its own; `release` removes it. */
export function builtExecutable(entry?: string): { file: string; release: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'lab-build-'));
  const script = join(import.meta.dirname, '../../build.ts');
  const args = [script, '--outdir', folder, ...(entry === undefined ? [] : ['--entry', entry])];
  const built = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (built.status !== 0) throw new Error(built.stderr);
  symlinkSync('agent', join(folder, 'sudo_trampoline'));
  return { file: join(folder, 'agent'), release: () => rmSync(folder, { recursive: true, force: true }) };
}

/** What install makes, as far as the trampoline needs it, and two users to attack from. */
export async function prepare(node: Machine, executable: string): Promise<void> {
  await node.copyIn(executable, '/opt/cloudify/agent');
  await node.must(
    `set -e; ln -sfn agent /opt/cloudify/sudo_trampoline
     getent group cluster >/dev/null || groupadd --system cluster
     for u in cfyuser cfyuser_consul; do id $u >/dev/null 2>&1 || useradd --system --user-group --groups cluster $u; done
     install -d -o root -g cluster -m 0755 /etc/cloudify /etc/cloudify/firewall /var/lib/cloudify
     install -d -o cfyuser_consul -g cfyuser -m 2750 /var/lib/cloudify/consul
     install -d -o cfyuser -m 0755 ${EVIL}`,
  );
  await node.writeFile(POLICY_FILE, renderPolicy(config));
  await node.writeFile('/etc/sudoers.d/cloudify', renderSudoers(config), '0440');
  await node.must('visudo -c -q');
  for (const role of ['active', 'standby', 'fenced'])
    for (const [family, address] of [
      ['v4', '192.0.2.1'],
      ['v6', '2001:db8::1'],
    ])
      await node.writeFile(
        `/etc/cloudify/firewall/${role}.${family}`,
        `*filter\n:CFY-TEST - [0:0]\n-F CFY-TEST\n-A CFY-TEST -s ${address} -m comment --comment ${role} -j DROP\nCOMMIT\n`,
      );
  await node.writeFile('/etc/cloudify/firewall/sets', 'create cloudify-client bitmap:port range 0-65535\n');
  await node.writeFile('/etc/systemd/system/worker.service', worker());
  for (const name of ['cloudify-postgresql', 'cloudify-consul', 'cloudify-iptables-restore'])
    await node.writeFile(`/etc/systemd/system/${name}.service`, worker('Restart=no'));
  await node.must('systemctl daemon-reload');
}

export interface Attack {
  readonly name: string;
  /** Words after the trampoline, or a shell text in which $T is the call of the trampoline. */
  readonly call: readonly string[] | string;
  readonly user?: string;
  /** 2: the trampoline refuses. sudo: sudo does. 0: it is allowed, and must work. */
  readonly expect: 0 | 2 | 'sudo';
  /** Run by root before, and taken back after. */
  readonly before?: string;
  readonly after?: string;
}

/** In the file, and in the journal: a caller's limit of file size can keep them from the first. */
async function refusals(node: Machine): Promise<{ file: number; journal: number }> {
  const { stdout } = await node.exec(
    `grep -c '"outcome":"refused"' ${LOG}; journalctl -q -t sudo_trampoline | grep -c '"outcome":"refused"'`,
  );
  const [file = 0, journal = 0] = stdout.trim().split('\n').map(Number);
  return { file, journal };
}

/** Undefined: it went as it must. */
export async function attackOnce(node: Machine, attack: Attack): Promise<string | undefined> {
  const { call, user = 'cfyuser', expect } = attack;
  if (attack.before) await node.must(attack.before);
  const was = await refusals(node);
  const argv =
    typeof call === 'string'
      ? ['bash', '-c', `T="${SUDO.join(' ')}"; cd ${EVIL}; ${call}`]
      : [...SUDO, ...call];
  const { code, stderr, stdout } = await node.exec(argv, { user, timeout: 60_000 });
  const now = await refusals(node);
  const logged = Math.max(now.file - was.file, now.journal - was.journal);
  if (attack.after) await node.must(attack.after);
  const pwned = (await node.exec(['test', '-e', PWNED])).code === 0;
  const said = `exit ${code}: ${stderr.trim().slice(-300)} ${stdout.trim().slice(-100)}`;
  if (pwned) return `THE ATTACKER BECAME ROOT (${said})`;
  if (expect === 'sudo') return /^sudo: |Sorry, user/m.test(stderr) && code !== 0 ? undefined : said;
  if (code !== expect) return `must end with ${expect}, but ${said}`;
  if (expect === 2 && logged < 1) return `it was refused, but not logged (${said})`;
  return undefined;
}
