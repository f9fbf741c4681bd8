import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { until } from '../../../agent/platform/clock.ts';
import { alive, processesWithEnv, readStat } from '../../../agent/platform/procfs.ts';
import { childDriver } from '../../../agent/roles/services/child.ts';
import type { ServiceExit, ServiceUnit } from '../../../agent/roles/services/driver.ts';
import { UNIT_VARIABLE } from '../../../agent/roles/services/record.ts';
import { contract, SCRIPTS, type Stage, TIMEOUT } from './contract.ts';

/**
 * What the child driver promises, on real processes, as a program: the test runs it under Bun and under Deno.
 * With `agent DIR` it plays an agent that starts the service and waits to be killed.
 */

const worker = (over: Partial<ServiceUnit> = {}): ServiceUnit => ({
  name: 'worker',
  command: 'sh',
  args: ['-c', SCRIPTS.plain],
  ...over,
});
const driverIn = (dir: string) =>
  childDriver({ runDir: join(dir, 'run'), logDir: join(dir, 'log'), pollEvery: 50 });
const log = (dir: string) => readFileSync(join(dir, 'log', 'worker.log'), 'utf8');

const stage = (dir: string): Stage => ({
  driver: () => driverIn(dir),
  unit: (kind, over) => worker({ args: ['-c', SCRIPTS[kind]], ...over }),
  processes: () => processesWithEnv(UNIT_VARIABLE, join(dir, 'run', 'worker')).map(({ pid }) => pid),
});

const steps: Record<string, (dir: string) => Promise<void>> = {
  ...Object.fromEntries(
    Object.entries(contract).map(([name, step]) => [name, (dir: string) => step(stage(dir))]),
  ),

  async 'it has a session and a log of its own'(dir) {
    const driver = driverIn(dir);
    const unit = worker();
    const { pid = 0 } = await driver.start(unit);
    assert.equal(readStat(pid)?.session, pid);
    await until(() => log(dir).includes('started'), { timeout: TIMEOUT });
    await driver.stop(unit);
    assert.match(log(dir), /stopping/);
  },

  async 'a command or folder that is missing is said'(dir) {
    const driver = driverIn(dir);
    for (const unit of [worker({ command: '/no/such/program' }), worker({ cwd: '/no/such/folder' })]) {
      await assert.rejects(driver.start(unit), { code: 'service_not_started', message: /no folder|ENOENT/ });
      assert.equal((await driver.status(unit)).state, 'failed');
    }
  },

  async 'the service inherits no socket of the agent'(dir) {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((done) => server.once('listening', done));
    const driver = driverIn(dir);
    const unit = worker();
    const { pid = 0 } = await driver.start(unit);
    const { execFileSync } = await import('node:child_process');
    const held = execFileSync('ls', ['-l', `/proc/${pid}/fd`], { encoding: 'utf8' });
    assert.doesNotMatch(held, /socket:/);
    await driver.stop(unit);
    server.close();
  },

  async 'it survives the agent and is taken up by the next one'(dir) {
    const agent = spawn(process.execPath, [...runtimeArgs(), 'agent', dir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const pid = Number(
      await new Promise<string>((done) => agent.stdout.once('data', (data) => done(String(data)))),
    );
    agent.kill('SIGKILL');
    await new Promise((done) => agent.once('exit', done));
    const unit = worker();
    const driver = driverIn(dir);
    assert.equal((await driver.status(unit)).pid, pid);
    assert.equal((await driver.start(unit)).pid, pid, 'and not started twice');
    const exit = new Promise<ServiceExit>((done) => driver.onExit(done));
    process.kill(pid, 'SIGKILL');
    assert.deepEqual(await exit, { name: 'worker', pid, expected: false });
    assert.equal((await driver.status(unit)).state, 'failed');
    const again = await driver.start(unit);
    const lazy = childDriver({ runDir: join(dir, 'run'), logDir: join(dir, 'log'), pollEvery: 60_000 });
    assert.equal((await lazy.status(unit)).state, 'running');
    const told: ServiceExit[] = [];
    lazy.onExit((one) => told.push(one));
    process.kill(again.pid ?? 0, 'SIGKILL');
    await until(() => !alive(again.pid ?? 0), { timeout: TIMEOUT, every: 1 });
    assert.equal((await lazy.status(unit)).state, 'failed', 'a status looks at once');
    assert.equal(told.length, 1);
    assert.equal((await driver.status(unit)).state, 'failed');
    const last = await driver.start(unit);
    const next = driverIn(dir);
    assert.equal((await next.status(unit)).pid, last.pid);
    await next.stop(unit);
    assert.ok(!alive(last.pid ?? 0));
  },

  async 'it is found though the agent died before it noted the pid'(dir) {
    const unit = worker();
    const { pid } = await driverIn(dir).start(unit);
    const file = join(dir, 'run', 'worker.json');
    const { pid: _pid, start_time: _time, ...intention } = JSON.parse(readFileSync(file, 'utf8'));
    const { writeFileSync } = await import('node:fs');
    writeFileSync(file, JSON.stringify(intention));
    // Between fork and exec a process still shows its parent's environment.
    const marked = () => readFileSync(`/proc/${pid}/environ`, 'latin1').includes('CLOUDIFY_AGENT_UNIT=');
    assert.ok(await until(marked, { timeout: TIMEOUT, every: 1 }));
    const next = driverIn(dir);
    assert.equal((await next.status(unit)).pid, pid);
    await next.stop(unit);
  },
};

function runtimeArgs(): string[] {
  const script = import.meta.filename;
  return 'Deno' in globalThis ? ['run', '-A', '--node-modules-dir=manual', script] : [script];
}

const [mode, folder] = process.argv.slice(2);
if (mode === 'agent' && folder) {
  const { pid } = await driverIn(folder).start(worker());
  console.log(pid);
  setInterval(() => {}, 1000);
} else {
  for (const [name, step] of Object.entries(steps)) {
    const dir = mkdtempSync(join(tmpdir(), 'services-'));
    const began = performance.now();
    try {
      await step(dir);
      console.log(`ok ${name} (${Math.round(performance.now() - began)} ms)`);
    } catch (error) {
      console.log(`FAILED ${name}: ${error instanceof Error ? error.stack : String(error)}`);
      process.exitCode = 1;
    } finally {
      for (const stat of processesWithEnv(UNIT_VARIABLE, join(dir, 'run', 'worker')))
        process.kill(stat.pid, 'SIGKILL');
      rmSync(dir, { recursive: true, force: true });
    }
  }
  process.exit();
}
