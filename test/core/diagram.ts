/**
 * The rules as people read them: a table, and the states that they lead from and to. Pure; docs/rules.md is
 * made of it.
 */
import type { Rule, RuleRole } from '../../agent/core/rule.ts';

/** What each state of the diagram means, in the order in which a node usually passes through them. */
export const roles: Record<RuleRole, string> = {
  joining: 'has no database of this cluster yet, or one that must be replaced',
  standby: 'its database follows, or waits to be told whom',
  candidate: 'the lease has run out or was released; this node asks for votes',
  holder: 'has the lease, and lets no client in yet',
  active: 'has the lease, a writable database, and lets clients in',
  fenced: 'lets no client in; the writable database and the active-only services are stopped',
  any: 'whatever it was',
};

export function ruleTable(rules: Rule[]): string {
  const rows = rules.map(
    (r) => `| ${r.id} | ${r.situation} | ${r.from} → ${r.to} | ${r.does.join(', ') || 'nothing'} |`,
  );
  return ['| rule | situation | state | does |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

/**
 * Mermaid. Rules between the same two states share an arrow; those that change no state are left to the
 * table.
 */
export function stateDiagram(rules: Rule[]): string {
  const arrows = new Map<string, number[]>();
  for (const rule of rules) {
    if (rule.from === rule.to) continue;
    const arrow = `${stateName(rule.from)} --> ${stateName(rule.to)}`;
    arrows.set(arrow, [...(arrows.get(arrow) ?? []), rule.id]);
  }
  const lines = [...arrows].map(([arrow, ids]) => `  ${arrow}: ${ids.join(', ')}`);
  return ['```mermaid', 'stateDiagram-v2', '  [*] --> joining', ...lines, '```'].join('\n');
}

/** "any" is no state of a node: it stands for all of them. */
function stateName(role: RuleRole): string {
  return role === 'any' ? 'any_state' : role;
}

export function rulesDocument(rules: Rule[]): string {
  const states = Object.entries(roles).map(([role, meaning]) => `- **${role}**: ${meaning}`);
  return `# The rules

Generated from agent/core/rules by \`npm run rules\`; a test fails when this page and the code differ.

In each tick a node looks at the facts, takes the first rule whose situation is the case, and carries out what it says.
The number and the reason appear in the log, in \`agent status\`, in the API and in the metrics. Numbers have gaps, so
that a rule can come between two others.

## States

${states.join('\n')}

${stateDiagram(rules)}

The numbers on an arrow are the rules that take it; rules that change no state are in the table only.

## Table

${ruleTable(rules)}
`;
}
