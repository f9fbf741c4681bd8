/**
 * A call as root over the Unix socket at whose other end systemd starts the trampoline
 * (agent/trampoline/answer.ts).
 */
import { accessSync, constants } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { boottime } from '../../platform/boottime.ts';
import { sleep } from '../../platform/clock.ts';
import { errno } from '../../platform/files.ts';
import type { RunResult } from '../../platform/process.ts';

/**
 * ms. What has not begun by then is not begun any more: the caller goes on. Root's programs are ended after
 * 15 s, so that a short call is over when its caller (20 s) says that it failed.
 */
const BEGIN_WITHIN = 5_000;
/** ms. A socket that is made anew is away for less. */
const ABSENT_FOR = 500;
const PAUSE = 50;
const TOO_SLOW = 'too slow';
/** Characters. */
const ANSWER_MAX = 1_000_000;
/** What the other end says first. */
const GREETING = 'ready\n';

export interface RootCall {
  readonly path: string;
  /** The trampoline's arguments. */
  readonly words: readonly string[];
  /** ms until the caller gives up. */
  readonly deadline: number;
  /** ms; default 5 s, or the deadline. */
  readonly beginWithin?: number;
}

type Outcome =
  | { readonly kind: 'answer'; readonly result: Omit<RunResult, 'duration'> }
  /** Nothing was asked: whoever listens has not begun. */
  | { readonly kind: 'again'; readonly why: string }
  /** Asked, and nothing is known of it. */
  | { readonly kind: 'lost'; readonly why: string };

/**
 * What the trampoline did, as of a program that was run; undefined where root does not listen for this user.
 * With neither `code` nor `ended`, `stderr` says why there is no answer. Asks once: it tries again only while
 * nobody has heard the question. Never rejects.
 */
export async function callOverSocket(call: RootCall): Promise<RunResult | undefined> {
  if (!mayEnter(dirname(call.path))) return undefined;
  const began = performance.now();
  const passed = (): number => performance.now() - began;
  const beginWithin = Math.min(call.beginWithin ?? BEGIN_WITHIN, call.deadline);
  const until = boottime() + beginWithin / 1000;
  const question = `${JSON.stringify({ until, call: call.words })}\n`;
  let told = '';
  for (;;) {
    const last = await ask(call.path, question, beginWithin - passed(), call.deadline - passed());
    if (last.kind === 'answer') return { ...last.result, duration: passed() };
    if (last.kind === 'again') {
      if (last.why === 'EACCES' || (last.why === 'ENOENT' && passed() > ABSENT_FOR)) return undefined;
      if (passed() + PAUSE < beginWithin) {
        told = last.why;
        await sleep(PAUSE);
        continue;
      }
    }
    const asked = last.kind === 'lost' ? 'it may have been done' : 'nothing was done';
    // Cut short by the time alone, the last try says less than those before.
    const why = last.why === TOO_SLOW && told !== '' ? told : last.why;
    return { stdout: '', stderr: `no answer at ${call.path} (${why}): ${asked}`, duration: passed() };
  }
}

function mayEnter(folder: string): boolean {
  try {
    accessSync(folder, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** One connection. `beginWithin`, `deadline`: what is left of each, ms. */
function ask(path: string, question: string, beginWithin: number, deadline: number): Promise<Outcome> {
  return new Promise((resolve) => {
    const socket: Socket = connect(path);
    let heard = '';
    let asked = false;
    let why = 'closed';
    const end = (outcome: Outcome): void => {
      clearTimeout(begin);
      clearTimeout(over);
      socket.destroy();
      resolve(outcome);
    };
    const begin = setTimeout(() => end({ kind: 'again', why: TOO_SLOW }), Math.max(0, beginWithin));
    const over = setTimeout(
      () => end({ kind: 'answer', result: { ended: 'deadline', stdout: '', stderr: '' } }),
      Math.max(0, deadline),
    );
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      heard += text;
      if (!asked && heard.startsWith(GREETING)) {
        asked = true;
        clearTimeout(begin);
        socket.write(question);
      }
      if (asked && heard.endsWith('\n') && heard.length > GREETING.length)
        end(answerOf(heard.slice(GREETING.length)));
      else if (heard.length > ANSWER_MAX || (!asked && !GREETING.startsWith(heard)))
        end({ kind: asked ? 'lost' : 'again', why: 'it speaks another protocol' });
    });
    socket.on('error', (error) => {
      why = errno(error) ?? error.message;
    });
    socket.on('close', () => end({ kind: asked ? 'lost' : 'again', why }));
  });
}

/** One line of JSON; what is not that tells nothing of what was done. */
function answerOf(line: string): Outcome {
  try {
    const { code, stdout, stderr } = JSON.parse(line) as Record<string, unknown>;
    if (Number.isInteger(code) && typeof stdout === 'string' && typeof stderr === 'string')
      return { kind: 'answer', result: { code: code as number, stdout, stderr } };
  } catch {
    // No JSON.
  }
  return { kind: 'lost', why: 'it speaks another protocol' };
}
