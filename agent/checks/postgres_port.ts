/** Does the port accept connections? Plain TCP: what a client's first packet finds. */
import { createConnection, type NetConnectOpts } from 'node:net';
import { type Check, type CheckResult, fail, type PgTarget, pass, type Readers } from './port.ts';

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

export function postgresPort(target: PgTarget, readers: Pick<Readers, 'fence'>): Check {
  const place = `${target.host}:${target.port}`;
  return {
    name: 'postgres_port',
    async run({ ms, signal }): Promise<CheckResult> {
      const open = readers.fence() === 'open';
      // Fenced, the firewall may drop this node's own packets: the Unix socket then stands for the port.
      const why = await knock({ host: target.host, port: target.port }, open ? ms : ms / 2, signal);
      if (why === null) return pass(`${place} accepts connections`);
      if (
        !open &&
        (await knock({ path: `${target.socketDir}/.s.PGSQL.${target.port}` }, ms / 2, signal)) === null
      )
        return pass(`the Unix socket accepts connections; ${place} is shut by the fence`);
      return fail(`${place} does not accept connections: ${why}`);
    },
  };
}
