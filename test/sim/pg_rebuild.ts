/** Rewind and re-clone: seconds in which the directory may be nothing a server can start on. */
import type { Upstream } from '../../agent/core/postgres.ts';
import type { Agent, Reply } from './agent.ts';
import { type Desk, DONE, failed } from './pg_desk.ts';

export function rebuild(
  desk: Desk,
  agent: Agent,
  reply: Reply,
  how: 'rewind' | 'reclone',
  from: Upstream,
  clone: string,
): void {
  const { world, node, server, machine, random } = desk;
  const source = world.nodes.find((n) => n.name === from.node)?.server;
  if (server.proc !== null || server.rebuilding)
    return void agent.later(2, () => reply(failed('the server runs')));
  world.checker.wiping(node, clone);
  server.identity = `${node.name}_${clone}`;
  server.rebuilding = true;
  // A copy made beside the old directory leaves it alone until the end; a rewind does not.
  if (how === 'rewind' || world.random.chance(0.5)) server.data = 'broken';
  const boot = machine.boot;
  const took = how === 'rewind' ? random.range(300, 4000) : random.range(1500, 15000);
  let over = false;
  server.cancelCopy = () => {
    if (over || machine.boot !== boot || !agent.alive) return;
    over = true;
    server.rebuilding = false;
    reply(failed('cancelled'));
  };
  const ended = () => {
    if (over) return;
    over = true;
    if (machine.boot !== boot || !agent.alive) return;
    server.rebuilding = false;
    const reachable =
      source?.works === true &&
      source.proc?.accepting === true &&
      world.network.both(machine.index, source.machine.index);
    if (!reachable || world.random.chance(world.flaky ? 0.1 : 0))
      return void reply(failed('the source went away'));
    // pg_rewind sees one timeline number on both sides as nothing to do (PROTOCOL E.1).
    if (how === 'rewind' && source.branch.tli === server.branch.tli) {
      server.data = 'ok';
      return void reply(DONE);
    }
    server.data = 'ok';
    server.branch = source.branch;
    server.flushed = source.flushed;
    server.reserved = Math.max(source.reserved, source.branch.tli);
    server.standbySignal = true;
    server.systemId = source.systemId;
    world.note(node.name, `${how} from ${from.node} ended`);
    reply(DONE);
  };
  machine.later(took, () => agent.soon(ended));
}
