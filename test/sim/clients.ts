/** Clients that try to write everywhere, all the time; and what a primary writes on its own. */
import { RECORD } from './branch.ts';
import type { World } from './world.ts';

export function startClients(world: World): void {
  const { random, scheduler } = world;
  const every = random.pick([200, 300, 450, 700]);
  const burst = random.pick([1, 1, 2, 4]);
  const bulk = random.pick([0.002, 0.01, 0.1]);
  const tick = () => {
    for (const node of world.nodes) {
      const { server } = node;
      const proc = server.proc;
      if (proc === null || proc.role !== 'primary' || !proc.accepting || !server.works) continue;
      if (node.fence.isOpen()) {
        for (let i = 0; i < burst; i += 1) server.commit(RECORD + random.int(8) * 100, i);
      } else if (random.chance(0.02)) server.append(RECORD);
      // A bulk load writes without waiting for anybody, until it commits.
      if (node.name === world.longTail || random.chance(bulk)) server.append(RECORD * 1000);
    }
    scheduler.after(every * random.range(0.7, 1.3), tick);
  };
  scheduler.after(every, tick);
}
