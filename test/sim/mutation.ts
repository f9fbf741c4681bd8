/** One way of breaking the core. */
import type { Policy } from '../../agent/core/policy.ts';
import type { Edit } from './mutate.ts';

export type Mutation = {
  id: string;
  what: string;
  edits: Edit[];
  policy?: Partial<Policy>;
  /** The storm in which it shows, when general faults hardly ever meet it. */
  theme?: string;
  nodes?: number;
  /** Nothing here catches it: why. It is untested, not unnecessary. */
  untested?: string;
};

export const edit = (file: string, find: string, replace: string): Edit => ({ file, find, replace });
