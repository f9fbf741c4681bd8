import { readdirSync, readFileSync } from 'node:fs';
import process from 'node:process';

export type Ended = {
  code: number | null;
  /** Set when the time limit ended it. */
  timedOut: boolean;
  output: string;
  /** From its start to its end. */
  seconds: number;
  /**
   * Of the processor: its own and that of every process it waited for. What went on without it is not
   * counted.
   */
  cpuSeconds: number;
  /** Processes it had started and left running; they were killed. */
  left: string[];
};

const mark = 'AGENT_TEST_RUN';
type Child = Bun.Subprocess<'ignore', 'pipe', 'pipe'>;
type Running = { child: Child; tag: string /** What is not shown yet. */; kept: string };
const running = new Set<Running>();
let count = 0;

/**
 * Every process, in whatever group or session, that inherited the tag in its environment. Another's are never
 * touched.
 */
function withTag(tag: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(`${mark}=${tag}`);
      } catch {
        return false; // ended meanwhile, or of another user
      }
    })
    .map(Number);
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // ended meanwhile
  }
}

/**
 * Kills the group of the child, then what left the group but carries the tag. Returns the commands of the
 * latter.
 */
function sweep({ child, tag }: Running): string[] {
  kill(-child.pid);
  const left: string[] = [];
  for (const pid of withTag(tag)) {
    const command = commandOf(pid); // empty for a zombie: it has ended and only waits for its parent
    if (command !== '') left.push(`${pid} ${command.slice(0, 120)}`);
    kill(pid);
  }
  return left;
}

export type RunOptions = {
  env?: Record<string, string>;
  /**
   * Shows what the command says only once it has ended, below this, so that several at a time can be read.
   */
  heading?: string;
};

function start(argv: string[], env: Record<string, string>): Child | Error {
  try {
    return Bun.spawn(argv, {
      detached: true,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (cause) {
    return cause instanceof Error ? cause : new Error(String(cause));
  }
}

/** Runs a command in a process group of its own, shows its output, and leaves nothing of it behind. */
export async function run(
  argv: string[],
  limitSeconds: number,
  { env = {}, heading }: RunOptions = {},
): Promise<Ended> {
  count += 1;
  const tag = `${process.pid}-${count}`;
  const began = performance.now();
  const child = start(argv, { ...env, [mark]: tag });
  if (child instanceof Error) {
    const output = `${argv[0]}: ${child.message}\n`;
    process.stdout.write(output);
    return { code: null, timedOut: false, output, seconds: 0, cpuSeconds: 0, left: [] };
  }
  const own: Running = { child, tag, kept: heading ?? '' };
  running.add(own);
  let output = '';
  const listen = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      const text = decoder.decode(chunk, { stream: true });
      output += text;
      if (heading !== undefined) own.kept += text;
      else process.stdout.write(text);
    }
  };
  // Not waited for: a process left behind may hold the pipes open for ever.
  for (const stream of [child.stdout, child.stderr]) void listen(stream);
  let timedOut = false;
  const limit = setTimeout(() => {
    timedOut = true;
    sweep(own);
  }, limitSeconds * 1000);
  await child.exited;
  const seconds = (performance.now() - began) / 1000;
  const cpuSeconds = Number(child.resourceUsage()?.cpuTime.total ?? 0) / 1e6;
  clearTimeout(limit);
  await new Promise((resolve) => setTimeout(resolve, 50)); // let the last output through
  running.delete(own);
  process.stdout.write(own.kept);
  return { code: child.exitCode, timedOut, output, seconds, cpuSeconds, left: sweep(own) };
}

/** For an interrupted test run: ends what is running now, and shows what it had said. */
export function killRunning(): void {
  for (const own of running) {
    sweep(own);
    process.stdout.write(own.kept);
  }
}
