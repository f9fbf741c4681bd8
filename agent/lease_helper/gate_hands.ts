/** What the gate (gate.ts) does its work with, and what it answers. */
export interface GateHands {
  /** CLOCK_BOOTTIME, seconds; rather too late than too early. */
  now(): number;
  /** Calls back after so many seconds, or a little later. Returns how to cancel. */
  after(seconds: number, callback: () => void): () => void;
  /** Rules that go by the entries; before the first entry is made. Rejects when they are not in force. */
  rules(): Promise<void>;
  /** The ports are open, after they were shut. */
  opened(): void;
  /** Entries for all client ports, with this timeout. Rejects unless they are there. */
  open(seconds: number): Promise<void>;
  /** No entry any more. Rejects unless they are gone. */
  shut(): Promise<void>;
  /** Resets every connection of a client, once the ports are shut. Never rejects. */
  cut(): Promise<void>;
  /** Remembers the deadline for the next process; null: there is none. */
  mark(deadline: number | null): void;
  /** Ends what no port leads to: fenced rules, the writable server, active-only services. Never rejects. */
  fenceDown(): Promise<void>;
  /** After an orderly close, in the background. */
  closed(): void;
  say(level: 'info' | 'warn' | 'error', line: string): void;
}

/**
 * ok: open until the deadline. closed: shut now. limit: the one in force. failed: not known to be as asked;
 * the kernel's timeouts hold.
 */
export type Reply = 'ok' | 'closed' | `limit ${string}` | `refused: ${string}` | `failed: ${string}`;
