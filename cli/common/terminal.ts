import process from 'node:process';

/** What a command sees of the world around it. Tests give their own. */
export interface Terminal {
  /** Standard output: the answer, and nothing else. */
  out(text: string): void;
  /** Standard error: progress and errors. */
  err(text: string): void;
  /** Is standard output a terminal? Then tables are redrawn and coloured. */
  readonly tty: boolean;
  /** Is standard error one? Then progress is redrawn in place. */
  readonly errTty: boolean;
  readonly color: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Monotonic milliseconds. */
  now(): number;
  sleep(ms: number): Promise<void>;
  /** Aborted at the first SIGINT or SIGTERM; from the first call on these end nothing by themselves. */
  interrupted(): AbortSignal;
}

function interruption(): AbortSignal {
  const abort = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => abort.abort());
  return abort.signal;
}

export interface ProcessTerminal extends Terminal {
  /** Everything has been written, or will never be: then false, and it was said why. */
  flushed(): Promise<boolean>;
}

export function processTerminal(): ProcessTerminal {
  const { stdout, stderr, env } = process;
  let lost: NodeJS.ErrnoException | undefined;
  /**
   * An answer that nobody got is none, whatever the command did: a script that keeps it must not take it for
   * one.
   */
  const failed = (error: NodeJS.ErrnoException | null | undefined): void => {
    if (error == null || lost !== undefined) return;
    lost = error;
    if (error.code !== 'EPIPE') stderr.write(`agent: the output could not be written: ${error.message}\n`);
  };
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    failed(error);
    // `agent logs | head`: the reader has seen enough.
    stderr.write('', () => process.exit(error.code === 'EPIPE' ? 0 : 1));
  });
  // Progress and errors that cannot be written keep no command from its work.
  stderr.on('error', () => {});
  let interrupt: AbortSignal | undefined;
  const tty = stdout.isTTY === true;
  return {
    out: (text) => void stdout.write(text, failed),
    err: (text) => void stderr.write(text),
    tty,
    errTty: stderr.isTTY === true,
    color: tty && env.TERM !== 'dumb' && (env.NO_COLOR ?? '') === '',
    env,
    now: () => performance.now(),
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    flushed: () =>
      new Promise((resolve) => {
        stderr.write('', () => stdout.write('', () => resolve(lost === undefined || lost.code === 'EPIPE')));
      }),
    interrupted() {
      interrupt ??= interruption();
      return interrupt;
    },
  };
}
