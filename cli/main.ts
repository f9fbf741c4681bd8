import process from 'node:process';
import { runCli } from './run_cli.ts';
import { processTerminal } from './terminal.ts';
import { root } from './tree.ts';

const code = await runCli(root, process.argv.slice(2), processTerminal());
// Whatever a library left open must not keep the command; what was written to a pipe must still arrive.
process.stderr.write('', () => process.stdout.write('', () => process.exit(code)));
