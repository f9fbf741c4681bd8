import type { Finding } from '../agent/doctor/doctor.ts';
import { EXIT } from '../agent/errors.ts';
import type { AgentClient } from '../agent/http/client_api.ts';
import { command } from './common/command.ts';
import { configPath } from './common/socket.ts';
import { type Color, paint } from './common/table.ts';

const MARKS: Record<Finding['state'], [mark: string, color: Color]> = {
  ok: ['ok  ', 'green'],
  warn: ['warn', 'yellow'],
  fail: ['FAIL', 'red'],
};

/** A line per finding, its mend below; what is right only with --verbose. */
export function findingsText(findings: readonly Finding[], verbose: boolean, colored: boolean): string {
  const lines = findings
    .filter(({ state }) => verbose || state !== 'ok')
    .flatMap(({ id, state, what, mend }) => {
      const [mark, color] = MARKS[state];
      const line = `${colored ? paint(mark, color) : mark}  ${id}: ${what}`;
      return mend === '' ? [line] : [line, `      ${mend}`];
    });
  const count = (state: Finding['state']) => findings.filter((finding) => finding.state === state).length;
  const sum = `${count('ok')} right, ${count('warn')} to know, ${count('fail')} wrong`;
  return `${[...lines, sum].join('\n')}\n`;
}

/**
 * What only a running agent knows: whose lease times hold, and what it read. Without one there is nothing to
 * say.
 */
async function agentFindings(agent: () => Promise<AgentClient>): Promise<Finding[]> {
  try {
    const { leaseNote, configuration } = await (await agent()).status();
    const mend = "correct them in the file, or change the cluster's: 'agent cluster lease set'";
    const found = (configuration?.problems ?? []).map(
      ({ what, next }): Finding => ({ id: 'in_force', state: 'fail', what, mend: next }),
    );
    if (configuration?.problems.length === 0) {
      const what = `the agent runs with ${configuration.file} as it is`;
      found.push({ id: 'in_force', state: 'ok', what, mend: '' });
    }
    return leaseNote == null
      ? found
      : [...found, { id: 'lease_times', state: 'warn', what: leaseNote, mend }];
  } catch {
    return [];
  }
}

export default command({
  name: 'doctor',
  description: 'what is missing or wrong on this machine, and how to fix it',
  examples: ['agent doctor', 'agent doctor --verbose --config agent.yaml'],
  args: {},
  async run({ agent, args, print, terminal }) {
    const { doctorFile, healthy } = await import('../agent/doctor/doctor.ts');
    const findings = await doctorFile(configPath(args, terminal.env));
    findings.push(...(await agentFindings(agent)));
    print(findings, () => findingsText(findings, args.verbose === true, terminal.color));
    return healthy(findings) ? EXIT.done : EXIT.failed;
  },
});
