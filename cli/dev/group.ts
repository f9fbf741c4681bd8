import { defineCommand } from 'citty';

/** `agent dev`: a whole cluster in a folder, for trying out and for the tests. */
export default defineCommand({
  meta: { name: 'dev', description: 'a cluster of managers on this machine, in one folder, without root' },
  subCommands: {
    up: async () => (await import('./up.ts')).default,
    status: async () => (await import('./status.ts')).default,
    down: async () => (await import('./down_command.ts')).default,
    worker: async () => (await import('./worker_command.ts')).default,
  },
});
