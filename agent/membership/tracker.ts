/**
 * Long operations that an operator waits for: steps with times, one operation at a time, the last few
 * remembered.
 */

import type { Operation, Step } from '../api/types.ts';
import { AgentError, asAgentError } from '../errors.ts';
import { newId } from '../state/identity.ts';

export type Report = (detail: { detail?: string; bytes?: number; total?: number }) => void;

export type Steps = {
  /** Runs a step; its time, its failure and what it reports are seen by whoever polls the operation. */
  step<T>(name: string, body: (report: Report) => Promise<T>): Promise<T>;
};

export function createTracker() {
  const known = new Map<string, Operation>();
  let running: Operation | null = null;

  return {
    get: (id: string): Operation | null => known.get(id) ?? null,
    running: (): Operation | null => running,
    /** Begins `body` in the background. Refuses while another runs: `operation_running` (operator). */
    begin(kind: Operation['kind'], body: (steps: Steps) => Promise<void>): Operation {
      if (running !== null) {
        throw new AgentError({
          class: 'operator',
          code: 'operation_running',
          message: `a ${running.kind} is under way on this manager`,
          hint: 'wait for it to end',
        });
      }
      const operation: Operation = {
        id: newId(),
        kind,
        state: 'running',
        error: null,
        errorCode: null,
        hint: null,
        steps: [],
      };
      known.set(operation.id, operation);
      for (const id of [...known.keys()].slice(0, -20)) known.delete(id);
      running = operation;
      void finish(operation, body).finally(() => {
        running = null;
      });
      return operation;
    },
  };
}

async function finish(operation: Operation, body: (steps: Steps) => Promise<void>): Promise<void> {
  try {
    await body({ step: (name, work) => runStep(operation, name, work) });
    operation.state = 'done';
  } catch (thrown) {
    const error = asAgentError(thrown);
    operation.error = error.message;
    operation.errorCode = error.code;
    operation.hint = error.hint ?? null;
    operation.state = 'failed';
  }
}

async function runStep<T>(
  operation: Operation,
  name: string,
  work: Parameters<Steps['step']>[1],
): Promise<T> {
  const began = performance.now();
  const step: Step = { name, state: 'running', startedAt: new Date().toISOString(), ms: 0 };
  operation.steps.push(step);
  try {
    const result = await work((detail) =>
      Object.assign(step, detail, { ms: Math.round(performance.now() - began) }),
    );
    step.state = 'done';
    return result as T;
  } catch (thrown) {
    step.state = 'failed';
    step.detail = asAgentError(thrown).message;
    throw thrown;
  } finally {
    step.ms = Math.round(performance.now() - began);
  }
}
