/** Does the port accept connections? Plain TCP: what a client's first packet finds. */
import { createConnection, type NetConnectOpts } from 'node:net';
import { type Check, type CheckResult, fail, type PgTarget, pass, type Readers } from './port.ts';

/**
 * Every connection costs the server a process. While postgres_select has just had its answer, the postmaster
 * is accepting, and only the way to its TCP port is left to be asked about: less often.
 */
export interface Sparing {
  readonly now: () => number;
  /** When a fresh connection was last answered, by `now`. */
  readonly answeredAt: () => number;
  /** How long ago that may be to stand for a knock of our own, ms. */
  readonly trust: number;
  /** A knock that was heard stands for this long at most, ms. */
  readonly knockEvery: number;
}

/** Connects and hangs up without a word, which the server does not log. null: accepted; else why not. */
function knock(options: NetConnectOpts, ms: number, signal: AbortSignal): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = createConnection(options);
    const settle = (why: string | null) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      resolve(why);
      socket.destroy();
    };
    const abort = () => settle('no answer in time');
    const timer = setTimeout(abort, ms);
    signal.addEventListener('abort', abort, { once: true });
    socket.once('connect', () => settle(null));
    socket.on('error', (error: NodeJS.ErrnoException) => settle(error.code ?? error.message));
  });
}

export function postgresPort(target: PgTarget, readers: Pick<Readers, 'fence'>, sparing?: Sparing): Check {
  const place = `${target.host}:${target.port}`;
  let heardAt = Number.NEGATIVE_INFINITY;

  const stillStands = ({ now, answeredAt, trust, knockEvery }: Sparing) =>
    now() - answeredAt() <= trust && now() - heardAt < knockEvery;

  return {
    name: 'postgres_port',
    async run({ ms, signal }): Promise<CheckResult> {
      const accepts = pass(`${place} accepts connections`);
      if (sparing !== undefined && stillStands(sparing)) return accepts;
      const startedAt = sparing?.now() ?? 0;
      const open = readers.fence() === 'open';
      // Fenced, the firewall may drop this node's own packets: the Unix socket then stands for the port.
      const why = await knock({ host: target.host, port: target.port }, open ? ms : ms / 2, signal);
      heardAt = why === null ? startedAt : Number.NEGATIVE_INFINITY;
      if (why === null) return accepts;
      const path = `${target.socketDir}/.s.PGSQL.${target.port}`;
      if (!open && (await knock({ path }, ms / 2, signal)) === null)
        return pass(`the Unix socket accepts connections; ${place} is shut by the fence`);
      return fail(`${place} does not accept connections: ${why}`);
    },
  };
}
