import process from 'node:process';

// Started under this name by sudo or a socket, it is the trampoline and nothing else: what the command line
// loads is not for root.
const called = (path: string | undefined) => path?.slice(path.lastIndexOf('/') + 1) === 'sudo_trampoline';
if (called(process.argv0) || called(process.env.SUDO_COMMAND?.split(' ')[0])) {
  const words = process.argv.slice(2);
  // systemd's word, and nobody's who came by sudo: behind the socket the caller's name is an argument.
  if (words[0] === 'answer' && words.length === 2 && process.env.SUDO_USER === undefined) {
    const { runAnswer } = await import('../agent/trampoline/answer.ts');
    process.exit(await runAnswer(words[1] ?? ''));
  }
  const { runTrampoline } = await import('../agent/trampoline/run.ts');
  process.exit(runTrampoline(words));
}

const { keepOut } = await import('../agent/platform/environment.ts');
keepOut();
const { runCli } = await import('./run_cli.ts');
const { processTerminal } = await import('./common/terminal.ts');
const { root } = await import('./tree.ts');

const { EXIT } = await import('../agent/errors.ts');

const terminal = processTerminal();
const code = await runCli(root, process.argv.slice(2), terminal);
// Whatever a library left open must not keep the command; what was written to a pipe must still arrive.
const whole = await terminal.flushed();
process.exit(whole ? code : code || EXIT.failed);
