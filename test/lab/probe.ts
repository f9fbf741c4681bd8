/**
 * Can the lab run on this machine? Tried for real: containers often have the programs but not the permission.
 */
import { mkdirSync, mkdtempSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { attempt, cacheDir, hasProgram, run } from './host.ts';

const programs = [
  'debootstrap',
  'systemd-nspawn',
  'nsenter',
  'flock',
  'ip',
  'iptables',
  'ip6tables',
  'ipset',
  'mount',
];

async function network(): Promise<string | undefined> {
  const name = `lab.probe${process.pid}`;
  const steps = [
    ['ip', 'netns', 'add', name],
    ['ip', '-n', name, 'link', 'add', 'br0', 'type', 'bridge'],
    ['ip', '-n', name, 'link', 'add', 'p1', 'type', 'veth', 'peer', 'name', 'p2'],
    [
      'nsenter',
      `--net=/run/netns/${name}`,
      'iptables',
      '-w',
      '-A',
      'FORWARD',
      '-m',
      'physdev',
      '--physdev-in',
      'p1',
      '-j',
      'DROP',
    ],
  ];
  try {
    for (const step of steps) {
      const { code, stderr } = await run(step, 10_000);
      if (code !== 0) return `${step.join(' ')}: ${stderr.trim()}`;
    }
    return undefined;
  } finally {
    attempt('ip', 'netns', 'del', name);
  }
}

async function overlay(): Promise<string | undefined> {
  mkdirSync(cacheDir(), { recursive: true });
  const folder = mkdtempSync(join(cacheDir(), 'probe-'));
  try {
    const [lower, upper, work, root] = ['lower', 'upper', 'work', 'root'].map((name) => join(folder, name));
    for (const path of [lower, upper, work, root]) mkdirSync(path ?? '');
    const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
    const { code, stderr } = await run(
      ['mount', '-t', 'overlay', 'overlay', '-o', options, root ?? ''],
      10_000,
    );
    if (code !== 0) return `mount of an overlay in ${cacheDir()}: ${stderr.trim()}`;
    attempt('umount', root ?? '');
    return undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function cgroup(): string | undefined {
  for (const top of ['/sys/fs/cgroup', '/sys/fs/cgroup/systemd']) {
    const path = join(top, `lab-probe-${process.pid}`);
    try {
      mkdirSync(path);
      rmdirSync(path);
      return undefined;
    } catch {
      // version 1 has no cgroups at the top
    }
  }
  return 'no cgroup can be made below /sys/fs/cgroup';
}

/** What keeps the lab from running here, one reason each; empty when it can. */
export async function missing(): Promise<string[]> {
  if (process.platform !== 'linux') return ['the lab needs Linux'];
  if (process.getuid?.() !== 0) return ['the lab needs root (namespaces, mounts, systemd-nspawn)'];
  const absent = programs.filter((program) => !hasProgram(program));
  if (absent.length > 0) return [`not installed: ${absent.join(', ')} (sh test/setup.sh lab installs them)`];
  const found = [await network(), await overlay(), cgroup()];
  return found.filter((reason) => reason !== undefined);
}
