/** One command line from its words to its exit code. */
import { type CommandDef, runCommand } from 'citty';
import { AgentError, asAgentError, EXIT, type ExitCode, exitCodeOf, explain } from '../agent/errors.ts';
import { checkArgs } from './common/args.ts';
import { COMMON, type Handed, isAgentCommand, jsonText } from './common/command.ts';
import { argsOf, type Found, findCommand, subCommandsOf } from './common/find.ts';
import type { Terminal } from './common/terminal.ts';

/** The words that ask for help; what stands after `--` asks for nothing. */
function asksHelp(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return (end < 0 ? argv : argv.slice(0, end)).some((word) => word === '--help' || word === '-h');
}

async function showHelp({ command, path }: Found, write: (text: string) => void, colored: boolean) {
  const { helpText } = await import('./help.ts');
  write(await helpText(command, path, colored));
}

/** What is wrong, and what to do. */
function report(thrown: unknown, argv: readonly string[], path: readonly string[], terminal: Terminal): void {
  const error = asAgentError(thrown);
  if (argv.includes('--json')) {
    terminal.err(jsonText(error.toJSON()));
    return;
  }
  const verbose = argv.includes('--verbose');
  terminal.err(`${path.join(' ')}: ${verbose ? `${explain(error)} [${error.code}]` : error.message}\n`);
  if (error.hint !== undefined) terminal.err(`  ${error.hint}\n`);
  if (error.class === 'usage') terminal.err(`  '${path.join(' ')} --help' shows usage\n`);
  const { stack } = thrown instanceof Error && !(thrown instanceof AgentError) ? thrown : { stack: '' };
  if (verbose && stack) terminal.err(`${stack}\n`);
}

async function run({ command, rest }: Found, terminal: Terminal): Promise<ExitCode> {
  const { json, verbose, help } = COMMON;
  const definitions = { ...(await argsOf(command)), json, verbose, help };
  const given = await checkArgs(rest, definitions, isAgentCommand(command) && command.rest);
  const handed: Handed = { terminal, given };
  const { result } = await runCommand(command, { rawArgs: [...rest], data: handed });
  return typeof result === 'number' ? (result as ExitCode) : EXIT.done;
}

/** Never rejects: errors are reported on standard error and become the exit code. */
export async function runCli(
  root: CommandDef,
  argv: readonly string[],
  terminal: Terminal,
): Promise<ExitCode> {
  let path: readonly string[] = ['agent'];
  try {
    if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-v')) {
      const { version, commit } = await import('../agent/version.ts');
      terminal.out(`agent ${version} (${commit})\n`);
      return EXIT.done;
    }
    const found = await findCommand(root, argv);
    path = found.path;
    if (asksHelp(argv)) {
      await showHelp(found, terminal.out, terminal.color);
      return EXIT.done;
    }
    if (Object.keys(await subCommandsOf(found.command)).length > 0) {
      await showHelp(found, terminal.err, terminal.color);
      return EXIT.usage;
    }
    return await run(found, terminal);
  } catch (thrown) {
    report(thrown, argv, path, terminal);
    return exitCodeOf(thrown);
  }
}
