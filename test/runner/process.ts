import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import process from 'node:process';

export type Ended = {
  code: number | null;
  /** Set when the time limit ended it. */
  timedOut: boolean;
  output: string;
  /** Processes it had started and left running; they were killed. */
  left: string[];
};

const mark = 'AGENT_TEST_RUN';
const running = new Set<{ child: ChildProcess; tag: string }>();
let count = 0;

/** Every process, in whatever group or session, that inherited the tag in its environment. Another's are never touched. */
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

/** Kills the group of the child, then what left the group but carries the tag. Returns the commands of the latter. */
function sweep(child: ChildProcess, tag: string): string[] {
  if (child.pid !== undefined) kill(-child.pid);
  const left: string[] = [];
  for (const pid of withTag(tag)) {
    const command = commandOf(pid); // empty for a zombie: it has ended and only waits for its parent
    if (command !== '') left.push(`${pid} ${command.slice(0, 120)}`);
    kill(pid);
  }
  return left;
}

/**
 * Runs a command in a process group of its own, shows its output as it comes (`whole`: once it has ended, so that two at a time can
 * be read), and leaves nothing of it behind.
 */
export function run(argv: string[], limitSeconds: number, whole = false): Promise<Ended> {
  count += 1;
  const tag = `${process.pid}-${count}`;
  const [file = '', ...args] = argv;
  const env = { ...process.env, [mark]: tag };
  const child = spawn(file, args, { detached: true, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const own = { child, tag };
  running.add(own);
  let output = '';
  let timedOut = false;
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Uint8Array) => {
      output += chunk.toString();
      if (!whole) process.stdout.write(chunk);
    });
  }
  const limit = setTimeout(() => {
    timedOut = true;
    sweep(child, tag);
  }, limitSeconds * 1000);
  return new Promise((resolve) => {
    let code: number | null = null;
    const finish = () => {
      clearTimeout(limit);
      running.delete(own);
      if (whole) process.stdout.write(output);
      resolve({ code, timedOut, output, left: sweep(child, tag) });
    };
    child.on('error', (error) => {
      output += `${error.message}\n`;
      finish();
    });
    // 'exit', not 'close': a process left behind may hold the pipes open for ever.
    child.on('exit', (status) => {
      code = status;
      setTimeout(finish, 50); // let the last output through
    });
  });
}

/** For an interrupted test run: ends what is running now. */
export function killRunning(): void {
  for (const { child, tag } of running) sweep(child, tag);
}
