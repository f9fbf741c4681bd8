import type { CommandDef } from 'citty';
import { isPositional } from './common/args.ts';
import { command } from './common/command.ts';
import { argsOf, resolved, subCommandsOf } from './common/find.ts';

/**
 * What may follow the words of a path: `agent cluster` to its commands, or to the options of the last one.
 */
export interface Words {
  /** Joined by spaces: `agent cluster nodes`. */
  readonly path: string;
  readonly words: readonly string[];
}

/** Every command below, depth first, each with what may follow it. */
export async function allWords(at: CommandDef, path = 'agent'): Promise<Words[]> {
  const children = Object.entries(await subCommandsOf(at));
  if (children.length === 0) {
    const options = Object.entries(await argsOf(at))
      .filter(([, definition]) => !isPositional(definition))
      .map(([name]) => `--${name}`);
    return [{ path, words: options }];
  }
  const words: string[] = [];
  const below: Words[] = [];
  for (const [name, child] of children) {
    const command = await resolved<CommandDef>(child as CommandDef);
    if ((await resolved(command.meta ?? {})).hidden) continue;
    words.push(name);
    below.push(...(await allWords(command, `${path} ${name}`)));
  }
  return [{ path, words }, ...below];
}

const bash = (all: readonly Words[]): string => `_agent() {
  local path=agent word words
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in -*) ;; *) path="$path $word" ;; esac
  done
  while :; do
    case $path in
${all.map(({ path, words }) => `      '${path}') words='${words.join(' ')}'; break ;;`).join('\n')}
      *' '*) path=\${path% *} ;;
      *) words=; break ;;
    esac
  done
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _agent agent
`;

const zsh = (all: readonly Words[]): string => `#compdef agent
autoload -U +X bashcompinit && bashcompinit
${bash(all)}`;

const fish = (all: readonly Words[]): string => {
  const lines = all.map(({ path, words }) => {
    const names = path.split(' ').slice(1);
    const seen = names.map((name) => `__fish_seen_subcommand_from ${name}`);
    const last = words.filter((word) => !word.startsWith('-'));
    const none = last.length > 0 ? [`not __fish_seen_subcommand_from ${last.join(' ')}`] : [];
    const when = [...seen, ...none].join('; and ');
    const options = words.filter((word) => word.startsWith('--')).map((word) => `-l ${word.slice(2)}`);
    if (last.length > 0) return `complete -c agent -f -n '${when}' -a '${last.join(' ')}'`;
    return options.map((option) => `complete -c agent -n '${when}' ${option}`).join('\n');
  });
  return `${lines.join('\n')}\n`;
};

const SHELLS = { bash, zsh, fish };

export default command({
  name: 'completion',
  description: 'shell completion of commands and options, to be sourced',
  examples: ['source <(agent completion bash)'],
  args: { shell: { type: 'positional', required: true, description: 'bash, zsh or fish' } },
  async run({ args, print }) {
    const shell = args.shell;
    if (shell !== 'bash' && shell !== 'zsh' && shell !== 'fish') {
      const { usageError } = await import('../agent/errors.ts');
      throw usageError(`no completion for '${shell}'`, 'write bash, zsh or fish');
    }
    const { root } = await import('./tree.ts');
    const all = await allWords(root);
    print(all, () => SHELLS[shell](all));
  },
});
