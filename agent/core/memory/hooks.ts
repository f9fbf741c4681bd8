/** The hooks that are still to run, and what of this node's role they were told. Written here alone. */
import type { HookPhase } from '../ports.ts';

/** Services have so long to be up before the hook that says "promoted" runs without them. */
const SERVICES_UP = 30_000;

type HookFacts = Record<string, string>;

export type HooksMemory = {
  /** Those that run after the fact, in order; the hook runner takes them out one by one. */
  due: readonly { phase: HookPhase; facts: HookFacts }[];
  /**
   * Promoted and open; `post-promote` waits for the services with these facts. null: it was said, or is not
   * true any more.
   */
  promoted: HookFacts | null;
  /**
   * Has let clients in as the active, since it was promoted or found itself to be; until `post-demote` is
   * due.
   */
  serving: boolean;
};

export const newHooks = (): HooksMemory => ({ due: [], promoted: null, serving: false });

export function hookLater(hooks: HooksMemory, phase: HookPhase, facts: HookFacts): void {
  hooks.due = [...hooks.due, { phase, facts }];
}

export function nextHook(hooks: HooksMemory): HooksMemory['due'][number] | undefined {
  const [next, ...others] = hooks.due;
  hooks.due = others;
  return next;
}

/** Found to be open as the active. */
export function isServing(hooks: HooksMemory): void {
  hooks.serving = true;
}

/** Clients were let in. `promoted`: at the end of a promotion; null: the same active again. */
export function hasOpened(hooks: HooksMemory, promoted: HookFacts | null): void {
  hooks.serving = true;
  hooks.promoted = promoted;
}

/** This node was the active until now: said once, however it ended. */
export function demoted(hooks: HooksMemory, facts: HookFacts): void {
  hooks.promoted = null;
  if (!hooks.serving) return;
  hooks.serving = false;
  hookLater(hooks, 'post-demote', facts);
}

/**
 * `post-promote` once the services run, so that it can use them. `openFor`: since clients were let in, ms.
 */
export function whenServicesRun(hooks: HooksMemory, missing: number, openFor: number): void {
  if (hooks.promoted === null || (missing > 0 && openFor < SERVICES_UP)) return;
  hookLater(hooks, 'post-promote', hooks.promoted);
  hooks.promoted = null;
}
