/**
 * Input: three nodes; `set-active n3` right after n3 joined, and `set-active n1` right after `reinit n1`.
 * Right: the new active has a slot for each other member before it is waited for, and never opens without a
 *        standby that confirms.
 * Source: reports on cluster managers that make their slots by a timer.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, TestCluster } from '../dev/harness.ts';

let t: TestCluster;

beforeAll(async () => {
  t = await TestCluster.up({ preset: 'fast' });
}, 240_000);

afterAll(async () => {
  await t?.down();
}, 60_000);

const others = (name: string) => t.nodes.map((node) => node.name).filter((node) => node !== name);
const slotsOn = (name: string) =>
  t.sql(name, "SELECT coalesce(string_agg(slot_name, ' ' ORDER BY slot_name), '') FROM pg_replication_slots");

/**
 * As soon as it is fit. What every agent and every server ever logged counts: a state asked for now and then
 * would miss it.
 */
async function takesOver(target: string): Promise<void> {
  const from = await t.activeName();
  const id = await t.startSwitch(from, target);
  await eventually(`${target} active`, 90_000, async () => {
    const status = await t.status();
    t.expectNotRefused(id, status);
    return status?.active === target && (await t.sql(target, 'SELECT pg_is_in_recovery()')) === 'f';
  });
  expect(await slotsOn(target)).toBe(
    others(target)
      .map((name) => `agent_${name}`)
      .join(' '),
  );
  expect(await t.settled(90_000)).toBe(target);
}

/** In the logs of all agents and servers. */
function logged(pattern: RegExp): string[] {
  return t.nodes.flatMap(({ name, logDir }) =>
    readdirSync(logDir, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.log'))
      .flatMap((file) => readFileSync(join(logDir, file), 'utf8').split('\n'))
      .filter((line) => pattern.test(line))
      .map((line) => `${name}: ${line}`),
  );
}

test('the node that joined last takes over at once, and so does one whose database was just copied again', async () => {
  await takesOver('n3');
  const clone = async () => (await t.status())?.sync?.voters.find(({ node }) => node === 'n1')?.clone;
  const before = await clone();
  await t.api('n1').reinit('n1');
  await eventually('n1 confirms with a new copy', 90_000, async () => {
    const now = await clone();
    return now !== undefined && now !== before;
  });
  await takesOver('n1');
  // Both kinds of log are among them.
  expect(logged(/open under epoch 3|database system is ready/).length).toBeGreaterThan(3);
  expect(logged(/no standby confirms|replication slot "agent_n\d" does not exist/)).toEqual([]);
}, 400_000);
