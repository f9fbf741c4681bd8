import { type Address, type Connection, connect } from './wire.ts';

/**
 * One client that only waits for an answer, without a time limit and without keep-alive. Times on this
 * process's monotonic clock, ms.
 */
export interface Wait {
  readonly node: string;
  readonly began: number;
  /** null: it waits still. */
  readonly ended: number | null;
}

/** Between two attempts to find a server that lets it in, ms. */
const EVERY = 500;
/** As long as a timer can be. */
const FOR_EVER = 2 ** 31 - 1;

/**
 * Always one such client at `address`, as soon as somebody lets it in. Returns how to ask for all waits so
 * far.
 */
export function startWaiter(node: string, address: Address, connectTimeout: number): () => readonly Wait[] {
  const waits: Wait[] = [];
  const once = async (): Promise<void> => {
    const connection: Connection = await connect(address, connectTimeout);
    const began = performance.now();
    const at = waits.push({ node, began, ended: null }) - 1;
    await connection.query('SELECT pg_sleep(1000000)', FOR_EVER);
    connection.close();
    waits[at] = { node, began, ended: performance.now() };
  };
  const loop = async (): Promise<void> => {
    for (;;) {
      await once().catch(() => {});
      await new Promise((next) => setTimeout(next, EVERY));
    }
  };
  void loop();
  return () => waits;
}
