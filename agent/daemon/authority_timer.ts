/**
 * Follows a new authority on every member, and drives it on the active: a look now and then, and often while
 * one is under way.
 */

import { AgentError, messageOf } from '../errors.ts';
import type { Logger } from '../log/log.ts';
import { managementPartsOf, resealManagement } from '../node/management.ts';
import type { Member } from '../node/member.ts';
import { ownRecord } from '../node/own_record.ts';
import type { Parts } from '../node/parts.ts';
import { sleep } from '../platform/clock.ts';
import { advanceAuthority, membersNow, readAuthority, sealForOthers } from '../security/authority_drive.ts';
import { followAuthority } from '../security/authority_follow.ts';
import { signedAnew } from '../security/authority_signed.ts';
import { everybodyKnows } from '../security/names.ts';
import { applyRenewal } from '../security/renew.ts';
import { securityStore } from '../security/store.ts';
import type { Agent } from './agent.ts';

/** Milliseconds. */
const QUIET = 5000;
const UNDER_WAY = 1000;

const whatOf = {
  trust: 'the new root is trusted here',
  key: 'the key of the new root is here',
  sign: 'the new root signs certificates here',
  certify: 'the certificates here are signed by the new root',
  drop: 'a root that is no longer wanted is not trusted here any more',
  forget: 'the key of the old root is destroyed here',
  apply: 'the agent, Consul and PostgreSQL use the current certificates',
};

/** One look. Resolves with how long to wait for the next, ms. */
async function look(
  agent: Agent,
  member: Member,
  parts: Parts,
  keepRecord: () => Promise<unknown>,
  say: (line: string) => void,
) {
  const { security, config } = parts;
  const { node, memberKv: kv } = member;
  const current = security.current();
  if (current === undefined || node.view === null || node.view.removed.includes(node.name)) return QUIET;
  const drive = { kv, prefix: agent.prefix(), gate: member.signed };
  const known = await readAuthority(drive);
  if (known === null) {
    // Nothing to be told anew: they have all been given what is in the files, at their start or at a renewal.
    if (!security.isApplied(current)) {
      security.applied(current);
      await keepRecord();
    }
    return QUIET;
  }
  // A copy of its database goes by files that a new set takes away.
  if (node.copy.durable.rebuilding !== null || node.copy.task !== null) return UNDER_WAY;
  const { did, stuck } = await followAuthority(known.record, {
    config,
    security,
    apply: (made) => applyRenewal(made, agent.certificateUsers(parts)),
    ownNames: () => everybodyKnows(node.view),
  });
  // Alone it is a restart of the agent, or a renewal of its certificates.
  if (did.some((step) => step !== 'apply'))
    for (const step of did) say(`a new certificate authority: ${whatOf[step]}`);
  if (did.length > 0) await keepRecord();
  if (stuck !== null) throw new AgentError({ class: 'transient', code: 'authority_stuck', message: stuck });
  if (known.record.phase === 'drop') return did.length > 0 ? UNDER_WAY : QUIET;
  const members = await membersNow(drive);
  if (await sealForOthers(drive, known, securityStore(config).keys(), members)) return UNDER_WAY;
  if (node.fence.state === 'open') {
    const begun = await advanceAuthority(drive, known, members, async () => {
      const signing = { kv, prefix: drive.prefix, records: member.signed, now: () => Date.now() };
      return (
        (await resealManagement(managementPartsOf(parts, member.consul.kv), kv)) &&
        (await signedAnew(signing))
      );
    });
    if (begun !== null) say(`a new certificate authority: all members are there, step '${begun}' begins`);
  }
  return UNDER_WAY;
}

/** Beside housekeeping, which does the same every ten seconds: a phase waits for what the record says. */
const recordOf = (
  { node, memberKv: kv, signed: records }: Member,
  parts: Parts,
  say: (line: string) => void,
) => ownRecord({ parts, kv, records, view: () => node.view, name: node.name, say });

/** Looks until stopped. Returns how to stop it. */
export function followAuthorityInTime(agent: Agent, log: Logger): () => void {
  const abort = new AbortController();
  let told = '';
  let of: Member | null = null;
  let keepRecord: () => Promise<unknown> = async () => {};
  const say = (line: string) => log.info(line);
  void (async () => {
    while (!abort.signal.aborted) {
      let pause = QUIET;
      const { member, parts } = agent;
      try {
        if (member !== null && parts !== null) {
          if (member !== of) keepRecord = recordOf(member, parts, say);
          of = member;
          pause = await look(agent, member, parts, keepRecord, say);
        }
        told = '';
      } catch (thrown) {
        const why = messageOf(thrown);
        // Consul is silent now and then; what it would say is no news.
        const silent = thrown instanceof AgentError && thrown.code === 'consul_unknown';
        pause = silent ? QUIET : UNDER_WAY;
        if (!silent && why !== told) log.warn(`a new certificate authority: ${why}`);
        if (!silent) told = why;
      }
      await sleep(pause, abort.signal);
    }
  })();
  return () => abort.abort();
}
