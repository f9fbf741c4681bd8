import { type Address, type Connection, connect } from './wire.ts';

/** One attempt to write a row. Times on this process's monotonic clock, ms. */
export interface Attempt {
  readonly node: string;
  readonly token: string;
  readonly sent: number;
  readonly answered: number;
  /**
   * acknowledged: a commit at full durability. warned: committed, but replication was not waited for: not
   * acknowledged. unknown: the connection ended first. refused: the server said no.
   */
  readonly outcome: 'acknowledged' | 'warned' | 'unknown' | 'refused';
  readonly why?: string;
}

export interface WriterOptions {
  readonly node: string;
  readonly address: Address;
  /** Begins every token: tells this run's rows from others'. */
  readonly run: string;
  readonly every: number;
  /** Between two attempts to connect where one was refused, while `othersWrite`. */
  readonly refusedEvery: number;
  /** Was a write acknowledged by any node just now? */
  readonly othersWrite: () => boolean;
  readonly connectTimeout: number;
  readonly statementTimeout: number;
}

export interface Writer {
  /** Finishes the attempt under way, then closes. */
  stop(): Promise<void>;
  /** Attempts that never got as far as a connection. */
  readonly notConnected: number;
  /** The last reason why an attempt was not acknowledged. */
  readonly lastRefusal: string;
}

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, Math.max(0, ms)));

/**
 * Tries to write a row every `every` ms, for ever and whatever happens: also to a standby, which refuses, and
 * to a dead server. Each node has its own, so that one that hangs holds up no other.
 */
export function startWriter(options: WriterOptions, record: (attempt: Attempt) => void): Writer {
  const { node, address, run, every, refusedEvery, othersWrite } = options;
  let connection: Connection | undefined;
  let running = true;
  let seq = 0;
  let notConnected = 0;
  let lastRefusal = '';

  /** False when there was no connection to write on. */
  const writeOne = async (): Promise<boolean> => {
    if (!connection?.open) {
      try {
        connection = await connect(address, options.connectTimeout);
      } catch (cause) {
        notConnected += 1;
        lastRefusal = cause instanceof Error ? cause.message : String(cause);
        return false;
      }
    }
    seq += 1;
    const token = `${run}-${node}-${seq}`;
    const sent = performance.now();
    const answer = await connection.query(
      `INSERT INTO ledger (node, seq, token) VALUES ('${node}', ${seq}, '${token}')`,
      options.statementTimeout,
    );
    const answered = performance.now();
    const base = { node, token, sent, answered };
    if (answer.kind === 'done') {
      const warning = answer.warnings[0];
      if (warning) record({ ...base, outcome: 'warned', why: warning.message });
      else record({ ...base, outcome: 'acknowledged' });
    } else if (answer.kind === 'refused') {
      lastRefusal = `${answer.error.code} ${answer.error.message}`;
      record({ ...base, outcome: 'refused', why: lastRefusal });
    } else {
      lastRefusal = answer.why;
      record({ ...base, outcome: 'unknown', why: answer.why });
    }
    return true;
  };

  const loop = async () => {
    while (running) {
      const began = performance.now();
      const connected = await writeOne();
      let next = began + every;
      await sleep(next - performance.now());
      // The moment nobody accepts writes any more, everybody is tried at the full pace.
      while (running && !connected && othersWrite() && next < began + refusedEvery) {
        next += every;
        await sleep(next - performance.now());
      }
    }
    connection?.close();
  };
  const ended = loop();

  return {
    stop() {
      running = false;
      return ended;
    },
    get notConnected() {
      return notConnected;
    },
    get lastRefusal() {
      return lastRefusal;
    },
  };
}
