import { type CommandDef, renderUsage } from 'citty';
import { isAgentCommand } from './common/command.ts';
import { resolved } from './common/find.ts';

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
  const usage = (await renderUsage(named, parent)).trimEnd();
  const plain = colored ? usage : usage.replaceAll(COLOR, '');
  const ours = isAgentCommand(command);
  const whole = ours && command.rest ? plain.replace(/^(.*USAGE.*<[A-Z]+>)/m, '$1...') : plain;
  const text = whole.replaceAll(/ +$/gm, '');
  if (!ours || command.examples.length === 0) return `${text}\n`;
  const title = command.examples.length > 1 ? 'EXAMPLES' : 'EXAMPLE';
  return `${text}\n\n${title}\n\n${command.examples.map((line) => `  ${line}\n`).join('')}`;
}
