/**
 * One long-lived `ipset -` that only this process writes to, with nothing but set names, ports and whole
 * seconds: a tenth of the cost of starting ipset each time (docs/decisions/kernel-lease.md). Its output is
 * line-buffered, so that it tells when it is done.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';

/** Milliseconds for one batch. */
const LIMIT = 400;
const END = /protocol version: \d+/;
const ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };

export interface IpsetPipe {
  /** Runs commands, one a line; resolves to all they printed. Rejects when they are not answered in time. */
  send(commands: readonly string[]): Promise<string>;
  close(): void;
}

/** `argv`: what to start; for tests. */
export function createIpsetPipe(argv: readonly string[] = ['stdbuf', '-oL', 'ipset', '-']): IpsetPipe {
  let child: ChildProcessWithoutNullStreams | null = null;
  let waiting: { resolve(text: string): void; reject(error: Error): void } | null = null;
  let output = '';

  const drop = (why: string): void => {
    child?.kill('SIGKILL');
    child = null;
    const failed = waiting;
    waiting = null;
    failed?.reject(
      new Error(`ipset ${why}: ${output.trim().split('\n').slice(-2).join('; ').slice(0, 200)}`),
    );
  };

  function start(): ChildProcessWithoutNullStreams {
    const [program = 'ipset', ...args] = argv;
    const started = spawn(program, args, { env: ENVIRONMENT, cwd: '/', stdio: ['pipe', 'pipe', 'pipe'] });
    const mine = (act: () => void) => () => {
      if (child === started) act();
    };
    const read = (chunk: Uint8Array): void => {
      if (child !== started || waiting === null) return;
      output += new TextDecoder().decode(chunk);
      if (!END.test(output)) return;
      const done = waiting;
      waiting = null;
      done.resolve(output);
    };
    started.stdout.on('data', read);
    started.stderr.on('data', read);
    started.stdin.on('error', () => {});
    started.on('error', (error) => mine(() => drop(`cannot run: ${error.message}`))());
    started.on('exit', () => mine(() => drop('ended'))());
    return started;
  }

  return {
    send(commands) {
      if (waiting !== null) return Promise.reject(new Error('ipset is busy'));
      output = '';
      child ??= start();
      const to = child;
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => drop('does not answer'), LIMIT);
        const settled =
          <T>(act: (value: T) => void) =>
          (value: T) => {
            clearTimeout(timer);
            act(value);
          };
        waiting = { resolve: settled(resolve), reject: settled(reject) };
        // `version` is the last thing said: then all before it is done.
        to.stdin.write(`${commands.join('\n')}\nversion\n`);
      });
    },
    close: () => {
      child?.stdin.end();
      child = null;
    },
  };
}
