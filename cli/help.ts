import { type CommandDef, renderUsage } from 'citty';
import { isAgentCommand } from './command.ts';
import { resolved } from './find.ts';

// biome-ignore lint/suspicious/noControlCharactersInRegex: terminal colours are control characters
const COLOR = /\u001b\[[0-9;]*m/g;

/** citty's usage under the command's whole name, with our examples. */
export async function helpText(
  command: CommandDef,
  path: readonly string[],
  colored: boolean,
): Promise<string> {
  const meta = await resolved(command.meta ?? {});
  const parent: CommandDef = { meta: { name: path.slice(0, -1).join(' ') } };
  const named: CommandDef = { ...command, meta: { ...meta, name: path.at(-1) ?? 'agent' } };
  const usage = await renderUsage(named, parent);
  const examples = isAgentCommand(command) ? command.examples : [];
  const title = examples.length > 1 ? 'EXAMPLES' : 'EXAMPLE';
  const tail = examples.length > 0 ? `${title}\n\n${examples.map((line) => `  ${line}\n`).join('')}` : '';
  const text = `${usage.trimEnd()}\n${tail === '' ? '' : `\n${tail}`}`;
  const lines = text.split('\n').map((line) => line.trimEnd());
  return colored ? lines.join('\n') : lines.join('\n').replaceAll(COLOR, '');
}
