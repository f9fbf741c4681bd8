export type FindingState = 'ok' | 'warn' | 'fail';

/** One thing looked at. */
export interface Finding {
  /** Stable: `postgres_version`, `port_api`, ... */
  readonly id: string;
  /** fail: the agent cannot run, or not safely, like this. warn: it can, with the loss that `what` names. */
  readonly state: FindingState;
  readonly what: string;
  /** What to do about it; empty when there is nothing to do. */
  readonly mend: string;
}

export const ok = (id: string, what: string): Finding => ({ id, state: 'ok', what, mend: '' });
export const warn = (id: string, what: string, mend: string): Finding => ({ id, state: 'warn', what, mend });
export const fail = (id: string, what: string, mend: string): Finding => ({ id, state: 'fail', what, mend });
