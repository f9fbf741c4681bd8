import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHttpServer } from '../../agent/http/server.ts';
import type { Terminal } from '../../cli/common/terminal.ts';
import { runCli } from '../../cli/run_cli.ts';
import { root } from '../../cli/tree.ts';
import { FakeAgent } from '../fakes/agent_api.ts';

export interface TestTerminal extends Terminal {
  outText(): string;
  errText(): string;
  interrupt(): void;
  env: Record<string, string | undefined>;
}

/** Remembers what was printed. Its time is virtual: a sleep takes none, and `onSleep` sees each. */
export function testTerminal(
  over: Partial<Terminal> = {},
  onSleep: (now: number) => void = () => {},
): TestTerminal {
  let out = '';
  let err = '';
  let now = 0;
  const abort = new AbortController();
  return {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    tty: false,
    errTty: false,
    color: false,
    env: {},
    now: () => now,
    sleep: async (ms) => {
      now += ms;
      onSleep(now);
    },
    interrupted: () => abort.signal,
    interrupt: () => abort.abort(),
    outText: () => out,
    errText: () => err,
    ...over,
  } as TestTerminal;
}

/** A command line without any agent. */
export async function runAlone(argv: string[], terminal = testTerminal()) {
  const code = await runCli(root, argv, terminal);
  return { code, out: terminal.outText(), err: terminal.errText() };
}

export interface Bench {
  readonly agent: FakeAgent;
  readonly socket: string;
  /** Runs a command line against the agent, through its real socket. */
  cli(argv: string, terminal?: TestTerminal): Promise<{ code: number; out: string; err: string }>;
  close(): Promise<void>;
}

/** A fake agent behind the real application on a real Unix socket. */
export async function bench(): Promise<Bench> {
  const dir = mkdtempSync(join(tmpdir(), 'agent-cli-'));
  const socket = join(dir, 'agent.sock');
  const agent = new FakeAgent();
  const server = createHttpServer({
    api: agent,
    manager: { edition: 'premium', version: '4.6' },
    secret: () => null,
    open: true,
  });
  await server.listenSocket(socket);
  return {
    agent,
    socket,
    cli: (argv, terminal = testTerminal()) => {
      terminal.env.AGENT_SOCKET = socket;
      return runAlone(argv.split(' '), terminal);
    },
    async close() {
      await server.close();
      rmSync(dir, { recursive: true });
    },
  };
}
