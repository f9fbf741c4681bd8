import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import process from 'node:process';
import { sleep, until } from '../../../agent/platform/clock.ts';
import { alive } from '../../../agent/platform/procfs.ts';
import { callTrampoline } from '../../../agent/roles/root/call.ts';
import type { ServiceExit } from '../../../agent/roles/services/driver.ts';
import { systemdDriver } from '../../../agent/roles/services/systemd.ts';
import type { Step } from './contract.ts';

/** Units that the lab makes beside those of the contract. */
const unit = (name: string) => ({ name, unit: `worker-${name}.service` });
const code = (error: unknown) => (error as { code?: string }).code ?? String(error);
const refusal = async (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'done',
    (error: unknown) => code(error),
  );

export const systemdSteps: Record<string, Step> = {
  async 'a start waits until a Type=notify unit says that it is ready'() {
    const driver = systemdDriver();
    const began = performance.now();
    const status = await driver.start(unit('notify'));
    const took = performance.now() - began;
    assert.equal(status.state, 'running');
    assert.ok(took >= 700, `it says so after 0.8 s, and the start ended after ${took} ms`);
    await driver.stop(unit('notify'));
  },

  async 'a start that waits for the process alone does not wait for that'() {
    const driver = systemdDriver();
    const began = performance.now();
    const status = await driver.start({ ...unit('notify'), startWaits: 'process' });
    assert.ok(performance.now() - began < 600);
    assert.ok(alive(status.pid ?? 0));
    await driver.stop(unit('notify'));
  },

  async 'a unit that hangs in its start is given up, is not running, and can be stopped'() {
    const driver = systemdDriver();
    const hangs = { ...unit('hangs'), startTimeout: 500, stopTimeout: 300 };
    assert.equal(await refusal(driver.start(hangs)), 'service_not_started');
    assert.equal((await driver.status(hangs)).state, 'failed');
    await driver.stop(hangs);
    assert.equal((await driver.status(hangs)).state, 'stopped');
  },

  async 'a unit that fails at once is not started, however often it is tried'() {
    const driver = systemdDriver();
    for (let i = 0; i < 8; i++) {
      const error = await driver.start(unit('fails')).catch((thrown: Error) => thrown);
      assert.match(String(error), /exit code 3/, 'and never because systemd counts starts');
    }
    assert.equal((await driver.status(unit('fails'))).state, 'failed');
  },

  async 'a unit that systemd restarts by itself is failed in between and running after'() {
    const driver = systemdDriver();
    const exits: ServiceExit[] = [];
    driver.onExit((exit) => exits.push(exit));
    const { pid = 0 } = await driver.start(unit('returns'));
    process.kill(pid, 'SIGKILL');
    await until(() => exits.length > 0, { timeout: 30_000, every: 5 });
    assert.equal((await driver.status(unit('returns'))).state, 'failed');
    const back = await until(
      async () => {
        const status = await driver.status(unit('returns'));
        return status.state === 'running' && status.pid !== pid ? status : undefined;
      },
      { timeout: 30_000 },
    );
    assert.ok(back);
    await driver.stop(unit('returns'));
    await sleep(1200);
    assert.equal((await driver.status(unit('returns'))).state, 'stopped', 'and it does not come back');
  },

  async 'units without a main process: oneshot and forking'() {
    const driver = systemdDriver();
    for (const name of ['oneshot', 'forking']) {
      assert.equal((await driver.start(unit(name))).state, 'running', name);
      assert.equal((await driver.status(unit(name))).state, 'running', name);
      await driver.stop(unit(name));
      assert.equal((await driver.status(unit(name))).state, 'stopped', name);
    }
  },

  async 'a unit that does not exist is not started, and one that is not listed is refused'() {
    const driver = systemdDriver();
    assert.equal(await refusal(driver.start(unit('missing'))), 'service_not_started');
    assert.equal(await refusal(callTrampoline('service', 'start', 'dbus.service')), 'trampoline_refused');
    assert.equal(
      (await driver.status({ name: 'dbus', unit: 'dbus.service' })).state,
      'running',
      'it may look',
    );
  },

  async 'the state of 6 stopped units asked 100 times costs next to nothing'() {
    const driver = systemdDriver();
    const names = ['plain', 'exits', 'ignores', 'frozen', 'forks', 'notify'].map(unit);
    const all = () => Promise.all(names.map((one) => driver.status(one)));
    await all();
    const before = process.cpuUsage();
    for (let i = 0; i < 100; i++) await all();
    const { user, system } = process.cpuUsage(before);
    console.log(`   ${((user + system) / 100_000).toFixed(2)} ms of CPU for six states`);
    assert.ok(user + system < 300_000);
  },

  async 'starts and stops, timed'() {
    const driver = systemdDriver();
    const times: string[] = [];
    for (let i = 0; i < 5; i++) {
      const began = performance.now();
      await driver.start(unit('plain'));
      const up = performance.now();
      await driver.stop(unit('plain'));
      times.push(`${Math.round(up - began)}+${Math.round(performance.now() - up)}`);
    }
    console.log(`   start+stop ms: ${times.join(' ')}`);
    assert.equal(
      execFileSync('systemctl', ['show', '-P', 'ActiveState', 'worker-plain'], { encoding: 'utf8' }),
      'inactive\n',
    );
  },
};
