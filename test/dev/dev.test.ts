import { afterAll, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { openCluster } from '../../cli/dev/cluster.ts';
import { down } from '../../cli/dev/down.ts';
import { nodeProcesses } from '../../cli/dev/processes.ts';
import { superuserSql } from '../fixtures/dev.ts';
import { freeAddress } from './addresses.ts';

/** `agent dev` as a person uses it: the command line, on a cluster of one manager. */

const root = join(import.meta.dirname, '..', '..');
const dir = mkdtempSync(join(tmpdir(), 'agent-test-'));

function agent(...args: string[]): { code: number | null; out: string; err: string } {
  const argv = [join(root, 'cli', 'main.ts'), 'dev', ...args, '--dir', dir];
  const { status, stdout, stderr } = spawnSync(process.execPath, argv, { cwd: root, encoding: 'utf8' });
  return { code: status, out: stdout, err: stderr };
}

const processes = () => openCluster(dir).nodes.flatMap(nodeProcesses);
const deployments = () => {
  const cluster = openCluster(dir);
  const [node] = cluster.nodes;
  return node ? superuserSql(cluster, node, 'manager', 'SELECT count(*) FROM deployments') : '';
};

afterAll(async () => {
  if (existsSync(join(dir, 'dev.json'))) await down(openCluster(dir), { purge: true }, () => {});
}, 60_000);

test('up makes a cluster out of nothing, and prints its table', async () => {
  const up = agent('up', '--nodes', '1', '--fast', '--first', await freeAddress());
  expect(up).toMatchObject({ code: 0 });
  expect(up.out).toMatch(/n1 +127\.\S+ +leader/);
  expect(await deployments()).toBe('500');
}, 90_000);

test('a second up does nothing', () => {
  const [before] = processes();
  expect(agent('up').err).toContain('is in the cluster already');
  const [after] = processes();
  expect(after?.pid).toBe(before?.pid as number);
}, 60_000);

test('status tells what runs', () => {
  const said = agent('status', '--json');
  expect(said.code).toBe(0);
  expect(JSON.parse(said.out)).toMatchObject({ dir, nodes: [{ name: 'n1', state: 'running' }] });
}, 30_000);

test('down ends every process and keeps the data; up goes on from there', async () => {
  expect(processes().length).toBeGreaterThan(3);
  expect(agent('down')).toMatchObject({ code: 0, out: 'stopped: n1\n' });
  expect(processes()).toEqual([]);
  expect(agent('down')).toMatchObject({ code: 0, out: 'nothing was running\n' });
  expect(agent('up')).toMatchObject({ code: 0 });
  expect(await deployments()).toBe('500');
}, 120_000);

test('down --purge leaves nothing', () => {
  expect(agent('down', '--purge')).toMatchObject({ code: 0 });
  expect(existsSync(dir)).toBe(false);
  expect(agent('status')).toMatchObject({ code: 1 });
}, 60_000);
