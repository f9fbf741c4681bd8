/** Starting, stopping and promoting the modelled server. */
import type { StopOutcome } from '../../agent/core/postgres.ts';
import type { Agent, Reply } from './agent.ts';
import { RECORD } from './branch.ts';
import { type Desk, DONE, failed, within } from './pg_desk.ts';

export function start(desk: Desk, agent: Agent, reply: Reply, ms: number, role: 'primary' | 'standby'): void {
  const { world, node, server, random, now } = desk;
  const once = within(desk, agent, reply, ms, failed('no connection in time'));
  const proc = server.proc;
  if (proc !== null) {
    if (proc.role !== role) return void agent.later(2, () => once(failed(`runs as a ${proc.role}`)));
    const wait = () => {
      if (server.proc !== proc) once(failed('the server died'));
      else if (proc.accepting && server.hung === 'no') once(DONE);
      else agent.later(20, wait);
    };
    wait();
    return;
  }
  if (server.data !== 'ok' || server.rebuilding)
    return void agent.later(5, () => once(failed('no usable data directory')));
  if (server.unstartable)
    return void agent.later(random.range(20, 200), () => once(failed('exited at once')));
  node.fence.serverStarts();
  const recovery = random.skewed(60, world.random.chance(0.02) ? 8000 : 600);
  server.start(role, recovery, random.skewed(5, 2500), now(), () => once(DONE));
}

export function stop(
  desk: Desk,
  agent: Agent,
  reply: Reply,
  mode: 'fast' | 'immediate',
  ms: number,
  thenStandby: boolean,
): void {
  const { world, node, server, machine, random } = desk;
  world.checker.stopping(node, agent);
  node.late.claims.outdate('promotion');
  const proc = server.proc;
  let answered = false;
  const ended = (clean: boolean, checkpoint: bigint | null) => {
    if (answered) return;
    answered = true;
    const answer: StopOutcome = { kind: 'stopped', clean, checkpoint, timeline: server.branch.tli };
    agent.later(random.skewed(1, 10), () => {
      if (thenStandby && server.data === 'ok') server.standbySignal = true;
      reply(answer);
    });
  };
  if (proc === null) {
    ended(false, null);
    return;
  }
  machine.laterOwn(ms, () => {
    if (server.proc !== proc) return ended(false, null);
    if (server.hung === 'storage') {
      // Processes in uninterruptible sleep are killed when they wake from it.
      proc.doomed = true;
      answered = true;
      return agent.soon(() => reply({ kind: 'failed', why: 'processes do not go away' }));
    }
    agent.soon(() => {
      if (server.proc === proc) server.die('killed after the stop deadline');
      ended(false, null);
    });
  });
  const runs = () => {
    if (server.proc !== proc) ended(false, null);
    return server.proc === proc && server.hung === 'no';
  };
  if (server.hung !== 'no') return;
  if (mode === 'immediate') {
    machine.later(random.skewed(5, 120), () => {
      if (!runs()) return;
      server.die('immediate stop');
      ended(false, null);
    });
    return;
  }
  // Clean: clients are terminated, the shutdown checkpoint goes out to every walsender that is still there.
  machine.later(random.skewed(5, 60), () => {
    if (!runs()) return;
    server.terminateClients();
    proc.accepting = false;
    if (proc.role === 'standby') {
      server.die('stopped');
      return ended(true, null);
    }
    const checkpoint = server.flushed;
    server.append(RECORD);
    const end = server.flushed;
    const drain = () => {
      if (!runs()) return;
      if (proc.senders.some((l) => l.flush === null || l.flush < end)) {
        machine.later(5, drain);
        return;
      }
      server.die('clean stop');
      ended(true, BigInt(checkpoint));
    };
    machine.later(5, drain);
  });
}

export function promote(desk: Desk, agent: Agent, reply: Reply, ms: number): void {
  const { world, node, server, machine, random, now } = desk;
  world.checker.promote(node, agent);
  const once = within(desk, agent, reply, ms, failed('not promoted in time'));
  const proc = server.proc;
  if (proc === null || !proc.accepting || server.hung !== 'no')
    return void agent.later(3, () => once(failed('not running')));
  if (proc.role === 'primary') return void agent.later(3, () => once(failed('recovery is not in progress')));
  if (proc.promoting) return;
  proc.promoting = true;
  const wait = Math.max(0, proc.holdUntil - now());
  // Whoever asked may be gone: only what was asked for later takes back what the server has not begun.
  const claim = node.late.take('promotion', null);
  const asked = now();
  const takes = random.skewed(40, 900);
  const begin = () => {
    const why = node.late.voidness(claim) ?? (agent.alive && now() >= asked + ms ? 'given up' : null);
    if (server.proc !== proc || why === null) return true;
    proc.promoting = false;
    once(failed(why));
    return false;
  };
  machine.later(takes + wait, () => {
    if (!begin()) return;
    if (server.proc !== proc) return void once(failed('the server died'));
    server.becomePrimary();
    world.checker.promoted(node, agent);
    once({ kind: 'done', timeline: server.branch.tli });
  });
}
