/**
 * The concurrent processes of one agent, each a procedure: the watcher takes Consul's word in, the keeper
 * renews, the guard fences at the deadline whatever else hangs, main observes, decides and acts, and votes
 * are answered beside it.
 */
import { act } from './act.ts';
import type { Action, Result } from './actions.ts';
import { type Decision, decide } from './decide.ts';
import type { Facts } from './facts.ts';
import { gather, keepWish, newsOf } from './gather.ts';
import { endRight, receive, renewWith } from './lease.ts';
import { isMine, remaining } from './lease_view.ts';
import { isNews, noteFailure, withLastFailure } from './memory/failures.ts';
import { heedDeposed } from './memory/holding.ts';
import { actsOn, beginTick, endTick, interrupt, noteRule } from './memory/main.ts';
import type { NodeContext } from './node.ts';
import { call, type FailsafeRequest, type Procedure, type VoteReply, type VoteRequest } from './ports.ts';
import { extend } from './procedures/extend.ts';
import { answerFailsafe, endFailsafe, failsafe } from './procedures/failsafe.ts';
import { fenceDown } from './procedures/fence_down.ts';
import { hookRunner } from './procedures/hooks.ts';
import { longTask, startServices } from './procedures/task.ts';
import { answerVote } from './procedures/vote.ts';
import { stateOf } from './state.ts';

export type Hooks = {
  newClone(): string;
  /** Runs a procedure beside the others; left out, it is run where it is asked for. */
  spawn?(procedure: Procedure<unknown>): void;
  /** Told of every decision (for status, metrics, events). */
  decided?(decision: Decision, facts: Facts): void;
};

export function processes(n: NodeContext, hooks: Hooks) {
  return {
    watcher: () => watcher(n),
    keeper: () => keeper(n),
    guard: () => guard(n),
    main: () => main(n, hooks),
    hookRunner: () => hookRunner(n),
    lastRenewal: () => lastRenewal(n),
    answerVote: (request: VoteRequest): Procedure<VoteReply> => answerVote(n, request),
    answerFailsafe: (request: FailsafeRequest): boolean => answerFailsafe(n, request),
  };
}

/**
 * Takes in every change below `cloudify/cluster/`; an unchanged cluster answers at the latest after a retry
 * period.
 */
function* watcher(n: NodeContext): Procedure<void> {
  for (;;) {
    const before = n.lease.index;
    const request = n.view?.request?.index ?? 0;
    const view = yield* call('consul', 'watch', n.view?.index ?? 0, n.policy.retryPeriod * 2);
    if (view === 'unknown') {
      yield* call('time', 'sleep', n.policy.retryPeriod / 4);
      continue;
    }
    const renewal = n.lease.record;
    receive(n, view);
    const now = n.lease.record;
    // A plain renewal is no news; anything else is.
    const news =
      n.lease.index !== before &&
      (renewal === null ||
        now === null ||
        renewal.holder !== now.holder ||
        renewal.epoch !== now.epoch ||
        renewal.instance !== now.instance);
    if (news || (view.request?.index ?? 0) !== request) n.wake();
  }
}

/** Renews every retry period while this node holds the lease. */
function* keeper(n: NodeContext): Procedure<void> {
  for (;;) {
    const began = n.now();
    if (n.holding.renewing && n.fence.running === 0 && isMine(n.lease, n.name, n.instance)) {
      const had = n.lease.right !== null;
      const outcome = yield* renewWith(n, []);
      if (outcome === 'unknown') yield* failsafe(n);
      if (outcome === 'ok') {
        endFailsafe(n);
        yield* extend(n);
        if (!had) n.wake();
      } else if (outcome === 'lost') n.wake();
    }
    // A restarted agent has to confirm the lease it finds under its name before anything else.
    const unsure =
      !n.lease.known || (n.holding.renewing && n.lease.right === null && isMine(n.lease, n.name, n.instance));
    const pause = n.policy.retryPeriod - (n.now() - began);
    yield* call('time', 'sleep', Math.max(10, unsure ? Math.min(50, pause) : pause));
  }
}

/** The last act of an agent that stops: the next one has a whole right to begin in. */
function* lastRenewal(n: NodeContext): Procedure<void> {
  if (
    !n.holding.renewing ||
    n.fence.running > 0 ||
    n.lease.right === null ||
    !isMine(n.lease, n.name, n.instance)
  )
    return;
  if ((yield* renewWith(n, [])) === 'ok') yield* extend(n);
}

/**
 * The fencing deadline, apart from the loop: when the right ends, nothing that main is waiting for matters.
 */
function* guard(n: NodeContext): Procedure<void> {
  for (;;) {
    const right = n.lease.right;
    const left = remaining(n.lease, n.now());
    if (!n.holding.deposed && (right === null || left > 0)) {
      // A machine that was frozen learns that it was replaced before its own clock says that the time is
      // over.
      const look = n.policy.retryPeriod / 4;
      yield* call('time', 'sleep', right === null ? look : Math.max(1, Math.min(look, left)));
      continue;
    }
    heedDeposed(n.holding);
    endRight(n);
    interrupt(n.main);
    yield* fenceDown(n, 'the lease ran out');
    n.wake();
  }
}

function* main(n: NodeContext, hooks: Hooks): Procedure<void> {
  let published = Number.NEGATIVE_INFINITY;
  let last = '';
  for (;;) {
    if (n.fence.running > 0) {
      yield* call('time', 'sleep', 20);
      continue;
    }
    beginTick(n.main);
    yield* keepWish(n);
    const facts = yield* gather(n);
    const decision = withLastFailure(n.failures, decide(facts));
    hooks.decided?.(decision, facts);
    const repeated = !noteRule(n.main, decision.rule);
    if (!repeated) {
      n.log({
        component: 'handler-runner',
        level: 'info',
        message: `rule ${decision.rule}: ${decision.reason}`,
      });
    }
    let acted = false;
    let why: string | null = null;
    const queue = [...decision.actions];
    for (const action of queue) {
      // The guard may have begun to fence while this tick looked at the world.
      if (n.main.interrupted) break;
      actsOn(n.main, action.do);
      const result = yield* untilInterrupted(n, carryOut(n, action, hooks));
      actsOn(n.main, null);
      if (n.main.interrupted) break;
      if (action.do !== 'sync_step' && action.do !== 'want') acted = true;
      if (result !== null && !result.ok) {
        if (isNews(n.failures, decision, result.why))
          n.log({ component: 'handler-runner', level: 'warn', message: `${action.do}: ${result.why}` });
        acted = false;
        why = result.why;
        break;
      }
      // With the lease won by votes or a handover there is nothing to look at first: rule 510 would be next.
      if (
        (action.do === 'acquire' || action.do === 'accept') &&
        n.candidacy.mandate !== null &&
        n.candidacy.mandate.kind !== 'founder'
      )
        queue.push({ do: 'promote' });
    }
    if (acted || why !== null) noteFailure(n.failures, decision, why, n.now());
    const state = stateOf(n, facts, decision);
    const key = newsOf(state);
    if (key !== last || n.now() - published >= n.policy.heartbeat) {
      yield* call('state', 'publish', state, n.policy.retryPeriod);
      last = key;
      published = n.now();
    }
    endTick(n.main, n.now());
    // What changed nothing is not tried again at once.
    if (!acted || repeated) yield* call('time', 'nap', decision.nap);
  }
}

function* carryOut(n: NodeContext, action: Action, hooks: Hooks): Procedure<Result> {
  const { spawn, newClone } = hooks;
  if (spawn !== undefined && action.do === 'rebuild') {
    if (n.copy.task === null) spawn(longTask(n, action.how, newClone));
  } else if (spawn !== undefined && (action.do === 'services_up' || action.do === 'repair')) {
    if (!n.services.starting) spawn(startServices(n, act(n, action, newClone)));
  } else return yield* act(n, action, newClone);
  return { ok: true };
}

/**
 * Run a procedure until the guard voids it. What is in flight then ends on its own; nothing more is begun.
 */
function* untilInterrupted<T>(n: NodeContext, procedure: Procedure<T>): Procedure<T | null> {
  let step = procedure.next();
  while (!step.done) {
    const wasLock = step.value.port === 'time' && step.value.method === 'lock';
    const answer = yield step.value;
    if (n.main.interrupted) {
      // A lock that was just granted is given back only by the `finally` behind it.
      if (wasLock) procedure.next(answer);
      procedure.return(undefined as T);
      return null;
    }
    step = procedure.next(answer);
  }
  return step.value;
}
