/** One way of breaking the core. */
import type { Policy } from '../../agent/core/policy.ts';
import type { Matter } from '../../agent/roles/postgres/claims.ts';
import type { Edit } from './mutate.ts';

export type Mutation = {
  id: string;
  what: string;
  edits: Edit[];
  policy?: Partial<Policy>;
  /** The storm in which it shows, when general faults hardly ever meet it. */
  theme?: string;
  nodes?: number;
  /**
   * The seed to begin with, where it shows in few of them: a change of the core may move it, and then all
   * that follow are tried.
   */
  from?: number;
  /** Changes of this matter are written whatever was asked for since, and however late: a broken driver. */
  unclaimed?: Matter;
  /** Nothing here catches it: why. It is untested, not unnecessary. */
  untested?: string;
};

export const edit = (file: string, find: string, replace: string): Edit => ({ file, find, replace });
