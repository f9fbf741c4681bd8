import { defaultDir } from './layout.ts';

/** The option that every `agent dev` command has. */
export const DIR_ARG = {
  dir: {
    type: 'string',
    valueHint: 'DIR',
    description:
      'folder of the cluster; default: $AGENT_DEV_DIR, or agent-dev-UID in the folder for temporary files',
  },
} as const;

export const dirOf = (args: { dir?: unknown }): string =>
  typeof args.dir === 'string' && args.dir !== '' ? args.dir : defaultDir();
