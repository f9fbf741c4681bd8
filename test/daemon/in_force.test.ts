import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type ConfigInput, folderConfig, loadConfig } from '../../agent/config/index.ts';
import {
  agentNote,
  leaseNote,
  leasePrints,
  noteText,
  parseNote,
  printsOf,
} from '../../agent/config/prints.ts';
import { inForce, noteRunning } from '../../agent/daemon/in_force.ts';
import { AgentError } from '../../agent/errors.ts';

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'in-force-'));
  path = join(dir, 'agent.yaml');
});
afterEach(() => rmSync(dir, { recursive: true }));

const write = (over: ConfigInput = {}) => {
  const base = { node_name: 'm1', host_ip: '127.0.0.11' };
  writeFileSync(path, stringify(folderConfig(dir, base, over)));
  return loadConfig(path).config;
};
const refusal = (act: () => void): AgentError => {
  try {
    act();
  } catch (thrown) {
    if (thrown instanceof AgentError) return thrown;
  }
  throw new Error('not refused');
};
const whats = (report: { problems: { what: string }[] }) => report.problems.map(({ what }) => what);

test('the file that the agent read is in force, also written anew with the same settings', () => {
  const here = inForce(path, write());
  expect(here.report().problems).toEqual([]);
  writeFileSync(path, `# a remark\n${readFileSync(path, 'utf8')}`);
  expect(here.report().problems).toEqual([]);
  expect(here.report().fileHash).toBe(here.report().hash);
  here.refuse();
});

test('a file that was changed since is not: what differs is named, with the next step, and a start is refused', () => {
  const here = inForce(path, write());
  expect(here.report().problems).toEqual([]);
  write({ files: { folders: [{ id: 'etc', path: '/srv/etc' }] }, tags: { priority: 1 } });
  expect(here.report()).toMatchObject({
    problems: [
      {
        what: `the agent runs with another configuration than ${path}: files.folders, tags.priority`,
        next: 'restart the agent: that changes no role',
      },
    ],
  });
  expect(here.report().fileHash).not.toBe(here.report().hash);
  const { code, message } = refusal(() => here.refuse());
  expect([code, message]).toEqual([
    'configuration_not_in_force',
    expect.stringContaining('files.folders, tags.priority. Nothing was changed'),
  ]);
  write();
  expect(here.report().problems).toEqual([]);
  here.refuse();
});

test('a file that cannot be used, or is gone, is not in force either', () => {
  const here = inForce(path, write());
  writeFileSync(path, 'node_nam: m1\n');
  expect(whats(here.report())).toEqual([expect.stringContaining(`${path} cannot be used: node_nam`)]);
  expect(here.report().fileHash).toBe(null);
  expect(refusal(() => here.refuse()).hint).toStartWith('correct it, then ');
  rmSync(path);
  expect(whats(here.report())).toEqual([expect.stringContaining('cannot read the configuration')]);
  refusal(() => here.refuse());
});

test('with units: what root made and what the helper of the lease reads is compared too, and refuses nothing', () => {
  const vm: ConfigInput = { driver: 'systemd', firewall: { lease_socket: join(dir, 'lease.sock') } };
  const installed = join(dir, 'installed.json');
  const config = write(vm);
  const here = inForce(path, config, installed);
  expect(whats(here.report())).toEqual([
    'units, firewall rules and sudo were made by a configuration that is not known',
    'the helper of the kernel lease runs by a configuration that is not known',
  ]);
  writeFileSync(installed, noteText(printsOf(config)));
  writeFileSync(leaseNote(config), noteText(leasePrints(config)));
  expect(here.report().problems).toEqual([]);
  const other = write({
    ...vm,
    services: [{ name: 'a', unit: 'a.service' }],
    firewall: { ...vm.firewall, client_ports: [81] },
  });
  const restarted = inForce(path, other, installed);
  expect(whats(restarted.report())).toEqual([
    `units, firewall rules and sudo were made by another configuration than ${path}: firewall, services`,
    `the helper of the kernel lease runs by another configuration than ${path}: firewall, services`,
  ]);
  expect(restarted.report().problems[0]?.next).toContain("'agent install' as root");
  restarted.refuse();
});

test('the note for install tells what the agent runs with; one that cannot be written is no reason not to run', () => {
  const config = write();
  const failures: string[] = [];
  noteRunning(config, (why) => failures.push(why));
  expect(failures).toHaveLength(1);
  mkdirSync(config.paths.run_dir, { recursive: true });
  noteRunning(config, (why) => failures.push(why));
  expect(failures).toHaveLength(1);
  expect(parseNote(readFileSync(agentNote(config), 'utf8'))).toEqual({ ...printsOf(config) });
});
