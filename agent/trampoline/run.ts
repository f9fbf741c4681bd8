/**
 * The trampoline: the only place where root acts for the agent, by sudo or over a socket (answer.ts). Loads
 * nothing but what lies in this folder.
 */

import { type Command, commandOf, Refusal } from './command.ts';
import { messageOf } from './failure.ts';
import { POLICY_FILE } from './names.ts';
import { perform } from './perform.ts';
import { parsePolicy, type RootPolicy } from './policy.ts';
import { type Root, realRoot } from './root.ts';

const DONE = 0;
export const FAILED = 1;
export const REFUSED = 2;

/**
 * Carries out one call. 0: done. 1: it was tried and failed. 2: refused, and nothing was done. Never throws.
 */
export function runTrampoline(argv: readonly string[], root: Root = realRoot()): number {
  const began = performance.now();
  const caller = callerOf(root);
  const finish = (outcome: string, code: number, why?: string): number => {
    const took = Math.round(performance.now() - began);
    const time = new Date().toISOString();
    root.log({ time, outcome, caller, call: short(argv), ...(why === undefined ? {} : { why }), ms: took });
    if (why !== undefined) root.complain(`sudo_trampoline: ${outcome}: ${why}\n`);
    return code;
  };
  let command: Command | undefined;
  try {
    if (root.uid !== 0) throw new Refusal('this is not root: call it through sudo');
    const policy = policyFrom(root);
    command = commandOf(argv, policy, caller);
    const failure = perform(command, policy, root);
    return failure === undefined ? finish('done', DONE) : finish('failed', FAILED, failure);
  } catch (thrown) {
    const why = messageOf(thrown);
    if (thrown instanceof Refusal || command === undefined) return finish('refused', REFUSED, why);
    return finish('failed', FAILED, why);
  }
}

function policyFrom(root: Root): RootPolicy {
  const policy = parsePolicy(root.read(POLICY_FILE));
  if (!policy) throw new Refusal(`${POLICY_FILE} is not a policy`);
  return policy;
}

/**
 * sudo sets SUDO_USER, whatever the caller's environment held; answer.ts by the socket. Without it, nobody
 * but root itself can be here.
 */
const callerOf = (root: Root): string => root.env.SUDO_USER ?? 'root';

/** A call for the log: nobody can fill it with one. */
const short = (argv: readonly string[]): string[] => argv.slice(0, 40).map((word) => word.slice(0, 100));
