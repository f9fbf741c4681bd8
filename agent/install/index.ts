/** Installing on a manager's machine and giving it back. */
export { type Change, changeLine } from './diff.ts';
export { doneLine } from './done.ts';
export {
  type InstallOptions,
  install,
  installChanges,
  installPlan,
  presentConfig,
  requireRoot,
} from './install.ts';
export type { Machine } from './machine.ts';
export { realMachine } from './machine.ts';
export { doSteps, type Step, type StepResult, stepLine, stepsToDo } from './steps.ts';
export { membership, type TeardownOptions, teardownSteps } from './teardown.ts';
export { leftovers, refuseInCluster, uninstallSteps } from './uninstall.ts';
