import { expect, test } from 'bun:test';
import { AgentError, asAgentError, EXIT, exitCodeOf, explain, usageError } from '../agent/errors.ts';

const error = (code: string) => new AgentError({ class: 'operator', code, message: 'm' });

test('an error as a reply has its message, code and hint, and keeps its causes to itself', () => {
  const full = new AgentError({
    class: 'transient',
    code: 'c',
    message: 'm',
    hint: 'h',
    cause: new Error('inner'),
  });
  expect(JSON.parse(JSON.stringify(full))).toEqual({ message: 'm', error_code: 'c', hint: 'h' });
  expect(JSON.parse(JSON.stringify(error('c')))).toEqual({ message: 'm', error_code: 'c' });
});

test('exit codes follow the code, then the class', () => {
  expect(
    ['not_in_cluster', 'removed_from_cluster', 'not_cluster_master', 'still_going', 'other'].map((c) =>
      exitCodeOf(error(c)),
    ),
  ).toEqual([EXIT.not_in_cluster, EXIT.not_in_cluster, EXIT.not_active, EXIT.still_going, EXIT.failed]);
  expect(exitCodeOf(usageError('no'))).toBe(2);
  expect(exitCodeOf('thrown text')).toBe(1);
});

test('whatever was thrown becomes an error with a class', () => {
  const own = error('c');
  expect(asAgentError(own)).toBe(own);
  expect(asAgentError(new TypeError('t'))).toMatchObject({
    class: 'fatal',
    code: 'internal_error',
    message: 't',
  });
});

test('an explanation goes down the causes and repeats nothing', () => {
  const inner = new Error('disk full');
  expect(explain(new Error('cannot save: disk full', { cause: inner }))).toBe('cannot save: disk full');
  expect(explain(new Error('cannot save', { cause: new Error('write failed', { cause: inner }) }))).toBe(
    'cannot save: write failed: disk full',
  );
});
