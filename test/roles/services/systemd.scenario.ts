import process from 'node:process';
import { systemdDriver } from '../../../agent/roles/services/systemd.ts';
import { processesOf } from '../../../agent/roles/services/systemd_cgroup.ts';
import { contract, type Stage } from './contract.ts';
import { systemdSteps } from './systemd.steps.ts';

/**
 * What every service driver promises, and what is systemd's own, as a program that test/lab/systemd_main.ts
 * compiles and runs as cfyuser on a VM, with the real sudo, trampoline and systemd.
 */

const stage: Stage = {
  driver: () => systemdDriver(),
  unit: (kind, over) => ({ name: kind, unit: `worker-${kind}.service`, ...over }),
  processes: ({ unit = '' }) => processesOf(`/system.slice/${unit}`),
};

const only = process.argv[2];
for (const [name, step] of Object.entries({ ...contract, ...systemdSteps })) {
  if (only !== undefined && name !== only) continue;
  const began = performance.now();
  try {
    await step(stage);
    console.log(`ok ${name} (${Math.round(performance.now() - began)} ms)`);
  } catch (error) {
    console.log(`FAILED ${name}: ${error instanceof Error ? error.stack : String(error)}`);
    process.exitCode = 1;
    const driver = stage.driver();
    for (const kind of ['plain', 'exits', 'ignores', 'frozen', 'forks'] as const)
      await driver.stop(stage.unit(kind), { signal: 'SIGKILL' }).catch(() => {});
  }
}
process.exit();
