/**
 * Is the configuration in force? The agent read agent.yaml when it started, its lease helper when that
 * started, and root rendered units, rules and sudo's permissions from it at `agent install`. Each leaves
 * hashes; here they are held against the file.
 */
import { statSync } from 'node:fs';
import type { ConfigurationReport } from '../api/settings.ts';
import { type Config, ConfigError, loadConfig } from '../config/index.ts';
import {
  agentNote,
  differing,
  differingPaths,
  leaseNote,
  leasePrints,
  noteText,
  parseNote,
  printOf,
  printsOf,
  RENDERED_KEYS,
} from '../config/prints.ts';
import { problemLine } from '../config/problems.ts';
import { AgentError, explain } from '../errors.ts';
import { INSTALLED_FILE } from '../install/names.ts';
import { GROUP_READABLE, readIfPossible, writeAtomically } from '../platform/files.ts';

type Problem = ConfigurationReport['problems'][number];

export type InForce = {
  /** Costs a look at three files while none of them changes. */
  report(): ConfigurationReport;
  /**
   * Throws operator `configuration_not_in_force` while the agent runs with another configuration than the
   * file's.
   */
  refuse(): void;
};

const SHOWN = 6;
const listed = (names: readonly string[]): string =>
  names.length > SHOWN
    ? `${names.slice(0, SHOWN).join(', ')} and ${names.length - SHOWN} more`
    : names.join(', ');

/**
 * Tells `install`, which runs as root, by what this agent runs. One that cannot be written keeps nobody from
 * running.
 */
export function noteRunning(config: Config, failed: (why: string) => void): void {
  try {
    writeAtomically(agentNote(config), noteText(printsOf(config)), GROUP_READABLE);
  } catch (thrown) {
    failed(`'agent install' will not know by which configuration this agent runs: ${explain(thrown)}`);
  }
}

const signature = (path: string): string => {
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(path);
    return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
  } catch {
    return 'none';
  }
};

const INSTALL = "run 'agent install' as root: it changes what differs and restarts what read another file";

/**
 * `running`: the configuration that this process read at its start, from `path`. `installed`: install's note.
 */
export function inForce(path: string, running: Config, installed: string = INSTALLED_FILE): InForce {
  const systemd = running.driver === 'systemd';
  const again = systemd ? INSTALL : 'restart the agent: that changes no role';
  let last: { of: string; report: ConfigurationReport; blocked: Problem | null } | null = null;

  /** The agent's own first; null: it runs with what the file says. */
  function own(): { file: Config; problem: Problem | null } | { file: null; problem: Problem } {
    let file: Config;
    try {
      file = loadConfig(path).config;
    } catch (thrown) {
      const why =
        thrown instanceof ConfigError ? thrown.problems.map(problemLine).join('; ') : explain(thrown);
      const what = `${path} cannot be used: ${why}; the agent runs with what it read before`;
      return { file: null, problem: { what, next: `correct it, then ${again}` } };
    }
    const paths = differingPaths(running, file);
    if (paths.length === 0) return { file, problem: null };
    const what = `the agent runs with another configuration than ${path}: ${listed(paths)}`;
    return { file, problem: { what, next: again } };
  }

  function others(file: Config): Problem[] {
    if (!systemd) return [];
    const problem = (what: string, noted: ReturnType<typeof parseNote>, wanted: string[] | undefined) => {
      if (noted === undefined)
        return [{ what: `${what} by a configuration that is not known`, next: INSTALL }];
      return wanted === undefined || wanted.length === 0
        ? []
        : [{ what: `${what} by another configuration than ${path}: ${listed(wanted)}`, next: INSTALL }];
    };
    const rendered = parseNote(readIfPossible(installed));
    const lease = file.firewall.enabled ? parseNote(readIfPossible(leaseNote(file))) : {};
    return [
      ...problem(
        'units, firewall rules and sudo were made',
        rendered,
        rendered && differing(rendered, printsOf(file), RENDERED_KEYS),
      ),
      ...(file.firewall.enabled
        ? problem('the helper of the kernel lease runs', lease, lease && differing(lease, leasePrints(file)))
        : []),
    ];
  }

  function look() {
    const of = [path, installed, leaseNote(running)].map(signature).join('\n');
    if (last?.of === of) return last;
    const { file, problem } = own();
    const report: ConfigurationReport = {
      file: path,
      hash: printOf(running),
      fileHash: file === null ? null : printOf(file),
      problems: [...(problem === null ? [] : [problem]), ...(file === null ? [] : others(file))],
    };
    last = { of, report, blocked: problem };
    return last;
  }

  return {
    report: () => look().report,
    refuse() {
      const { blocked } = look();
      if (blocked === null) return;
      throw new AgentError({
        class: 'operator',
        code: 'configuration_not_in_force',
        message: `${blocked.what}. Nothing was changed`,
        hint: `${blocked.next}; then run the same command again`,
      });
    },
  };
}
