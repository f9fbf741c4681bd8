/** Whom the modelled server reads from, and whose confirmations it waits for. */
import type { SyncList, Upstream } from '../../agent/core/postgres.ts';
import type { Agent, Reply } from './agent.ts';
import { change, type Later } from './late_calls.ts';
import { type Desk, DONE, failed, within } from './pg_desk.ts';

export function setUpstream(
  desk: Desk,
  agent: Agent,
  reply: Reply,
  upstream: Upstream | null,
  ms: number,
): void {
  const { world, node, server, machine, random } = desk;
  const claim = node.late.take('upstream', upstream === null ? null : ms);
  node.late.claims.outdate('promotion');
  const once = within(desk, agent, reply, ms, failed('no answer in time'));
  const write = (later: Later) => {
    const changed = server.upstream !== (upstream?.node ?? null);
    server.upstream = upstream?.node ?? null;
    const proc = server.proc;
    if (proc === null || proc.role === 'primary') return void once(DONE);
    later(random.skewed(1, 10), () => {
      if (server.hung !== 'no') return;
      machine.later(upstream === null ? random.skewed(5, 600) : random.skewed(5, 40), () => {
        if (server.proc === proc && changed) proc.receiver?.dropAtReceiver();
        if (server.proc === proc && server.upstream === null) proc.receiver?.dropAtReceiver();
        if (server.proc === proc && server.upstream !== null) world.connector.ready(server);
        once(DONE);
      });
    });
  };
  change(desk, agent, claim, upstream !== null, random.skewed(1, 12), write, (why) => once(failed(why)));
}

export function setSyncList(desk: Desk, agent: Agent, reply: Reply, list: SyncList, ms: number): void {
  const { node, server, machine, random } = desk;
  const claim = node.late.take('list', ms);
  const once = within(desk, agent, reply, ms, failed('not effective in time'));
  const write = (later: Later) => {
    server.list = list;
    const proc = server.proc;
    if (proc === null || proc.role === 'standby') return void once(DONE);
    later(random.skewed(1, 10), () => {
      if (server.proc !== proc) return void once(failed('the server died'));
      if (server.hung !== 'no') return;
      // Reloaded: from now on some backends go by the new list and some by the one before.
      proc.old = { list: proc.list };
      proc.list = list;
      machine.later(1, () => server.proc === proc && server.release());
      const effective = random.skewed(10, 200);
      const done = () => {
        if (server.proc !== proc) return void once(failed('the server died'));
        if (server.hung !== 'no') return;
        for (const link of [...proc.senders]) link.dropAtSender();
        proc.old = null;
        once(DONE);
        server.release();
      };
      later(effective, done);
    });
  };
  change(desk, agent, claim, true, random.skewed(1, 15), write, (why) => once(failed(why)));
}
