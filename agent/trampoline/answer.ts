/**
 * The trampoline behind a Unix socket, for callers that cannot gain privileges by a program
 * (NoNewPrivileges), and so not by sudo. systemd starts it anew for each connection, which is its standard
 * input and output. Who calls is known by the socket: nobody else may open it.
 */

import { Buffer } from 'node:buffer';
import { readFileSync, writeSync } from 'node:fs';
import process from 'node:process';
import { Refusal } from './command.ts';
import { messageOf } from './failure.ts';
import { callOf, GREETING, Late, LONGEST } from './request.ts';
import { type Root, realRoot } from './root.ts';
import { FAILED, REFUSED, runTrampoline } from './run.ts';

/** ms. Whoever has not said all by then is hung up on. */
const SAID_WITHIN = 5_000;
/** ms. A caller that does not listen does not keep this process. */
const HEARD_WITHIN = 2_000;
/** Characters of each stream that go back. */
const MOST = 64 * 1024;

export interface AnswerParts {
  readonly root: Root;
  /** Bytes as they come; ends when the caller says no more. */
  readonly input: AsyncIterable<Uint8Array>;
  /** Never throws. */
  write(text: string): void;
  /** CLOCK_BOOTTIME, s. */
  now(): number;
  /** ms; default 5 s. */
  readonly saidWithin?: number;
}

/**
 * Greets, takes one request, carries it out as `caller` and says how it went: `{"code", "stdout", "stderr"}`
 * in one line. What is begun is carried to its end, whether or not anybody still listens. Never throws.
 */
export async function answerOne(caller: string, parts: AnswerParts): Promise<void> {
  const { root, write } = parts;
  let [stdout, stderr] = ['', ''];
  const as: Root = {
    ...root,
    env: { SUDO_USER: caller },
    say(text) {
      stdout += text;
    },
    complain(text) {
      stderr += text;
    },
  };
  write(GREETING);
  let code: number;
  try {
    const line = await requestLine(parts);
    if (line === undefined) return;
    code = runTrampoline(callOf(line, parts.now()), as);
  } catch (thrown) {
    const why = messageOf(thrown);
    root.log({ time: new Date().toISOString(), outcome: 'refused', caller, call: [], why });
    stderr = `sudo_trampoline: refused: ${why}\n`;
    code = thrown instanceof Late ? FAILED : REFUSED;
  }
  write(`${JSON.stringify({ code, stdout: stdout.slice(0, MOST), stderr: stderr.slice(-MOST) })}\n`);
}

/** Undefined: the caller said nothing and went. Rejects with a Refusal for what is no whole line in time. */
async function requestLine({ input, saidWithin = SAID_WITHIN }: AnswerParts): Promise<string | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Refusal(`no complete request came within ${saidWithin} ms`)),
      saidWithin,
    );
  });
  const bytes = input[Symbol.asyncIterator]();
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    for (;;) {
      const next = await Promise.race([bytes.next(), late]);
      if (next.done === true) {
        if (length === 0) return undefined;
        throw new Refusal('the caller left before its request was complete');
      }
      parts.push(next.value);
      length += next.value.byteLength;
      if (length > LONGEST) throw new Refusal('the request is too long');
      const end = next.value.indexOf(10);
      if (end < 0) continue;
      if (end !== next.value.byteLength - 1) throw new Refusal('more than one request came');
      return Buffer.concat(parts).toString('utf8', 0, length - 1);
    }
  } finally {
    clearTimeout(timer);
  }
}

/** `sudo_trampoline answer CALLER`, run by systemd as root. Always 0: how it went is in the answer. */
export async function runAnswer(caller: string): Promise<number> {
  await answerOne(caller, {
    root: realRoot(),
    input: process.stdin as AsyncIterable<Uint8Array>,
    write,
    now: () => Number.parseFloat(readFileSync('/proc/uptime', 'utf8')),
  });
  return 0;
}

/** The whole of it: a socket that is not blocking takes a part, or nothing for the moment. */
function write(text: string): void {
  const bytes = Buffer.from(text);
  const end = performance.now() + HEARD_WITHIN;
  for (let at = 0; at < bytes.byteLength; ) {
    try {
      at += writeSync(1, bytes, at);
    } catch (thrown) {
      // Nobody listens any more, or not in time.
      if ((thrown as { code?: string }).code !== 'EAGAIN' || performance.now() > end) return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}
