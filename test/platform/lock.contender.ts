import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { until } from '../../agent/platform/clock.ts';
import { acquireLock } from '../../agent/platform/lockfile.ts';

/**
 * One of six processes that want the same lock at the same moment; the winner keeps it until all have tried.
 */
const dir = process.argv[2] ?? '.';
const barrier = join(dir, 'ready');
const arrived = () => readdirSync(dir).filter((name) => name.startsWith('ready-')).length;
const tried = () => readdirSync(dir).filter((name) => name.startsWith('tried-')).length;

writeFileSync(`${barrier}-${process.pid}`, '');
await until(() => arrived() % 6 === 0, { timeout: 20_000, every: 1 });
let outcome = 'got';
try {
  acquireLock(dir, 'l');
} catch {
  outcome = 'refused';
}
writeFileSync(join(dir, `tried-${process.pid}`), '');
await until(() => tried() % 6 === 0, { timeout: 20_000, every: 1 });
console.log(outcome);
process.exit();
