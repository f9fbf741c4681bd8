/** The cluster's certificate authority as text, and waiting until a new one has gone round. */

import type { AuthorityStatus } from '../../agent/api/types.ts';
import { AgentError } from '../../agent/errors.ts';
import type { AgentClient } from '../../agent/http/client_api.ts';
import { duration } from '../common/format.ts';
import { table } from '../common/table.ts';
import type { Terminal } from '../common/terminal.ts';

/** Milliseconds. */
const POLL = 500;
/** For a member that has only just joined: its record says within ten seconds which roots it trusts. */
const JOINED = 60_000;

/** Of a fingerprint as much as tells two apart. */
const short = (fingerprint: string): string => fingerprint.slice(0, 12);
const all = (fingerprints: readonly string[] | null): string => fingerprints?.map(short).join(' ') ?? '?';

const MEANING = {
  trust: '1 of 3, every node comes to trust both roots',
  renew: '2 of 3, every node makes new certificates, from the new root',
  drop: '3 of 3, every node drops the old root and destroys its key',
  done: 'one root counts',
} as const;

const waitLine = ({ node, why, silent }: AuthorityStatus['waits'][number]): string =>
  `${node} ${why}${silent ? ', and is silent' : ''}`;

function headline({ phase, root, old, since, by, hold }: AuthorityStatus): string {
  const stays = hold ? '; it stays there until it is told to continue' : '';
  const made =
    since === null ? '' : `, made ${since} by ${by}${old === null ? '' : `, in place of ${short(old)}`}`;
  return `authority ${short(root)}${made}: ${MEANING[phase]}${stays}`;
}

const advice = ({ waits, next }: AuthorityStatus): string[] => [
  ...waits.map((wait) => `waits: ${waitLine(wait)}`),
  ...(next === null ? [] : [`next: ${next}`]),
];

export function authorityText(status: AuthorityStatus): string {
  const nodes = table(
    [
      { title: 'node', value: ({ name }) => name },
      { title: 'trusts', value: ({ trusts }) => all(trusts) },
      { title: 'certificates of', value: ({ shows }) => (shows === null ? '?' : short(shows)) },
      { title: 'keys', value: ({ keys }) => all(keys) },
      { title: '', value: ({ joining, silent }) => (joining ? 'joining' : silent ? 'silent' : '') },
    ],
    status.nodes,
  );
  return [headline(status), nodes.trimEnd(), ...advice(status)].join('\n');
}

const over = ({ phase, hold, waits }: AuthorityStatus): boolean =>
  phase === 'done' || (hold && phase === 'trust' && waits.length === 0);

/**
 * Asks for a new authority. Waits while the only thing in its way is a member that has just joined, and says
 * so on standard error.
 */
export async function beginAuthority(
  agent: AgentClient,
  hold: boolean,
  timeoutMs: number,
  terminal: Terminal,
): Promise<AuthorityStatus> {
  const deadline = terminal.now() + Math.min(JOINED, timeoutMs);
  let told = '';
  for (;;) {
    try {
      return await agent.renewAuthority(hold);
    } catch (thrown) {
      const soon =
        thrown instanceof AgentError && thrown.code === 'authority_not_ready' && thrown.class === 'transient';
      if (!soon || terminal.now() >= deadline) throw thrown;
      if (thrown.message !== told) terminal.err(`waiting: ${thrown.message}\n`);
      told = thrown.message;
    }
    await terminal.sleep(POLL);
  }
}

/**
 * Says each change on standard error. Throws transient `still_going` after `timeoutMs`, with whom it waits
 * for.
 */
export async function waitForAuthority(
  agent: AgentClient,
  begun: AuthorityStatus,
  timeoutMs: number,
  terminal: Terminal,
): Promise<AuthorityStatus> {
  const deadline = terminal.now() + timeoutMs;
  let status = begun;
  let told = '';
  for (;;) {
    const lines = [headline(status), ...(over(status) ? [] : advice(status))].join('\n');
    if (lines !== told) terminal.err(`${lines}\n`);
    told = lines;
    if (over(status)) return status;
    if (terminal.now() >= deadline)
      throw new AgentError({
        class: 'transient',
        code: 'still_going',
        message: `the new authority has not reached every node after ${duration(timeoutMs)}; it waits: ${status.waits.map(waitLine).join('; ')}`,
        hint: status.next ?? "it continues by itself: 'agent cluster certificates' shows how far it is",
      });
    await terminal.sleep(POLL);
    status = (await ask(agent)) ?? status;
  }
}

async function ask(agent: AgentClient): Promise<AuthorityStatus | undefined> {
  try {
    return (await agent.authorityStatus()) ?? undefined;
  } catch (thrown) {
    // One lost answer, or a moment without a leader of Consul, is no verdict.
    if (thrown instanceof AgentError && (thrown.class === 'transient' || thrown.code === 'no_answer'))
      return undefined;
    throw thrown;
  }
}
