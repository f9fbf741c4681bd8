/**
 * What the role wants of the replicated files (CONTRACTS 10). Nothing waits for them longer than the bound
 * that it names.
 */
import { following, leading } from '../files_due.ts';
import { tellFiles } from '../memory/files.ts';
import type { NodeContext } from '../node.ts';
import { call, type Procedure } from '../ports.ts';
import type { Outcome } from '../postgres.ts';

const TELL = 2000;

/**
 * Send-only, and what this node has is what counts. After the database was opened, before the services start.
 */
export function* leadFiles(n: NodeContext): Procedure<void> {
  const what = leading(n);
  note(n, what, yield* call('files', 'lead', TELL));
}

/** Receive-only, from `active` once it is known: what this node alone has is archived, then reverted. */
export function* followFiles(n: NodeContext, active: string | null, ms = TELL): Procedure<void> {
  if (n.files.facts.state === 'off') return;
  note(n, following(active), yield* call('files', 'follow', active, ms));
}

function note(n: NodeContext, what: string, outcome: Outcome): void {
  const isNew = tellFiles(n.files, what, outcome.kind === 'done', n.now());
  if (outcome.kind === 'failed' && isNew)
    n.log({ component: 'handler-runner', level: 'warn', message: `files: ${what}: ${outcome.why}` });
}
