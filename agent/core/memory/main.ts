/**
 * What main is at, for the guard that voids it, for status, and for who asked for something. Written here
 * alone.
 */

export type MainMemory = {
  /** Number of the rule that was last decided; 0 before the first. */
  rule: number;
  /** The action that main carries out right now; null between two. */
  acting: string | null;
  /** What a handover under way waits for right now, for people; null: none is. */
  step: string | null;
  /** When main last completed a tick, own clock. */
  tickAt: number;
  /** Set by the guard: what main was doing is void. Cleared as the next tick begins. */
  interrupted: boolean;
  /** The machine shuts down: said once by who stops the agent, and there is no way back. */
  stopping: 'no' | 'restart' | 'shutdown';
  /** The request as first seen here, own clock; null: there is none. */
  requestSeen: Readonly<{ id: string; at: number }> | null;
  /**
   * A switchover that was tried and cancelled: why, for the request's answer. Counts for that request alone.
   */
  requestRefused: Readonly<{ id: string; why: string }> | null;
};

export const newMain = (now: number): MainMemory => ({
  rule: 0,
  acting: null,
  step: null,
  tickAt: now,
  interrupted: false,
  stopping: 'no',
  requestSeen: null,
  requestRefused: null,
});

export function beginTick(main: MainMemory): void {
  main.interrupted = false;
}

export function endTick(main: MainMemory, now: number): void {
  main.tickAt = now;
}

/** True: it is not the rule of the last tick. */
export function noteRule(main: MainMemory, rule: number): boolean {
  const isNew = rule !== main.rule;
  main.rule = rule;
  return isNew;
}

/** null: done with it. */
export function actsOn(main: MainMemory, action: string | null): void {
  main.acting = action;
}

/** null: it waits for nothing any more. */
export function waitsFor(main: MainMemory, step: string | null): void {
  main.step = step;
}

export function interrupt(main: MainMemory): void {
  main.interrupted = true;
}

export function machineShutsDown(main: MainMemory): void {
  main.stopping = 'shutdown';
}

/** `id`: of the request that stands in Consul; null: none. */
export function seeRequest(main: MainMemory, id: string | null, now: number): void {
  if (id !== (main.requestSeen?.id ?? null)) main.requestSeen = id === null ? null : { id, at: now };
}

export function refuse(main: MainMemory, id: string, why: string): void {
  main.requestRefused = { id, why };
}
