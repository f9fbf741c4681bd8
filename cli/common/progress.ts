/** Waiting for a long operation of the agent, with its steps shown. */

import type { Operation, Step } from '../../agent/api/types.ts';
import { AgentError } from '../../agent/errors.ts';
import type { AgentClient } from '../../agent/http/client_api.ts';
import { bytes, duration, rate } from './format.ts';
import type { Terminal } from './terminal.ts';

const POLL = 200;
/** Where lines cannot be redrawn, a running step is mentioned this often. Milliseconds. */
const REMIND = 5000;

/** `copy the database  3.20 s  120 MB of 300 MB  37 MB/s`. */
export function stepLine(step: Step): string {
  const amount =
    step.bytes === undefined
      ? ''
      : step.total === undefined
        ? bytes(step.bytes)
        : `${bytes(step.bytes)} of ${bytes(step.total)}`;
  const speed = step.bytes === undefined ? '' : rate(step.bytes, step.ms);
  return [step.name, duration(step.ms), amount, speed, step.detail ?? ''].filter(Boolean).join('  ');
}

/** Prints each step when it ends, and the running one: in place on a terminal, now and then elsewhere. */
export function stepPrinter(terminal: Terminal) {
  let ended = 0;
  let begun = terminal.now();
  let reminded = begun;
  const clear = terminal.errTty ? '\r\u001b[K' : '';

  function printEnded(steps: readonly Step[]): void {
    for (const step of steps.slice(ended)) {
      if (step.state === 'running') return;
      terminal.err(`${clear}${step.state === 'done' ? 'done   ' : 'failed '}  ${stepLine(step)}\n`);
      ended++;
      begun = reminded = terminal.now();
    }
  }

  return ({ steps, state }: Operation): void => {
    printEnded(steps);
    const step = steps[ended];
    if (state !== 'running' || step === undefined) return;
    // The agent measures a step when it reports; between reports our own clock goes on.
    const line = `...      ${stepLine({ ...step, ms: Math.max(step.ms, terminal.now() - begun) })}`;
    if (terminal.errTty) terminal.err(`${clear}${line}`);
    else if (terminal.now() - reminded >= REMIND) {
      terminal.err(`${line}\n`);
      reminded = terminal.now();
    }
  };
}

/** `waits`: what for, where it is known. */
export const stillGoing = (what: string, timeoutMs: number, waits = ''): AgentError =>
  new AgentError({
    class: 'transient',
    code: 'still_going',
    message: `${what} is not done after ${duration(timeoutMs)} and still going${waits === '' ? '' : `; it waits: ${waits}`}`,
    hint: "the agent continues with it: 'agent logs -f' and 'agent cluster status' show how far it is",
  });

async function ask(agent: AgentClient, id: string): Promise<Operation | undefined> {
  try {
    return await agent.operation(id);
  } catch (thrown) {
    // One lost answer is no verdict on the operation; a forgotten operation is.
    if (thrown instanceof AgentError && thrown.code === 'no_answer') return undefined;
    throw thrown;
  }
}

/** Until it is done. Throws the operation's own error, or `still_going` after `timeoutMs`. */
export async function waitFor(
  agent: AgentClient,
  begun: Operation,
  timeoutMs: number,
  terminal: Terminal,
): Promise<Operation> {
  const deadline = terminal.now() + timeoutMs;
  const show = stepPrinter(terminal);
  let operation = begun;
  while (true) {
    show(operation);
    if (operation.state === 'done') return operation;
    if (operation.state === 'failed') {
      throw new AgentError({
        class: 'operator',
        code: operation.errorCode ?? `${operation.kind}_failed`,
        message: operation.error ?? `${operation.kind} failed`,
        hint: operation.hint ?? "'agent logs' has the details",
      });
    }
    if (terminal.now() >= deadline) {
      if (terminal.errTty) terminal.err('\n');
      throw stillGoing(operation.kind, timeoutMs);
    }
    await terminal.sleep(POLL);
    operation = (await ask(agent, begun.id)) ?? operation;
  }
}
