import { expect, test } from 'bun:test';
import process from 'node:process';
import { chaos } from './chaos.scenario.ts';
import { TestCluster } from './harness.ts';

const seed = Number(process.env.CHAOS_SEED ?? Math.floor(Math.random() * 100_000));
const seconds = Number(process.env.CHAOS_SECONDS ?? 30);

test(
  `faults at random for ${seconds} s lose no acknowledged write and never make two actives (CHAOS_SEED=${seed})`,
  async () => {
    const t = await TestCluster.up({ preset: 'fast' });
    const lines: string[] = [];
    try {
      const say = (line: string) => lines.push(`${new Date().toISOString()} ${line}`);
      expect(await chaos(t, seed, seconds * 1000, say)).toBeGreaterThan(1);
    } catch (cause) {
      process.stderr.write(`${lines.join('\n')}\n${t.logs(60)}\n`);
      throw cause;
    } finally {
      await t.down();
    }
  },
  (seconds + 360) * 1000,
);
