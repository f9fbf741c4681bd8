import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { decide, rules } from '../../agent/core/decide.ts';
import { roles, rulesDocument, ruleTable, stateDiagram } from './diagram.ts';
import { dice, randomFacts } from './facts_random.ts';

describe('the table', () => {
  test('ids are unique, ascend in the order of the list, and leave gaps', () => {
    const ids = rules.map((r) => r.id);
    expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b));
    expect(ids.length).toBeLessThan((ids.at(-1) ?? 0) / 10);
  });
  test('every situation is said once', () => {
    const said = rules.map((r) => r.situation);
    expect(new Set(said).size).toBe(said.length);
  });
  test('the last rule catches all', () => {
    expect(rules.at(-1)).toMatchObject({ id: 990, to: 'fenced' });
    const random = dice(7);
    for (let i = 0; i < 200; i += 1) expect(rules.at(-1)?.when(randomFacts(random))).toBe(true);
  });
  test('over random facts every rule is reached, and `does` names exactly the actions that it asks for', () => {
    const random = dice(1);
    const asked = new Map<number, Set<string>>();
    for (let i = 0; i < 80_000; i += 1) {
      const decision = decide(randomFacts(random));
      const set = asked.get(decision.rule) ?? new Set();
      asked.set(decision.rule, set);
      for (const action of decision.actions) set.add(action.do);
    }
    const table = (does: (id: number) => string[] | undefined) =>
      rules.map((r) => `${r.id}: ${does(r.id)?.toSorted().join(', ') ?? 'never reached'}`);
    expect(table((id) => [...(asked.get(id) ?? ['never reached'])])).toEqual(
      table((id) => rules.find((r) => r.id === id)?.does),
    );
  });
});

describe('the documentation', () => {
  test('docs/rules.md is what the rules give now (npm run rules)', () => {
    expect(readFileSync(new URL('../../docs/rules.md', import.meta.url), 'utf8')).toBe(rulesDocument(rules));
  });
  test('has a row for each rule and no pipe that would break it', () => {
    const rows = ruleTable(rules).split('\n').slice(2);
    expect(rows).toHaveLength(rules.length);
    for (const row of rows) expect(row.split('|')).toHaveLength(6);
  });
  test('the diagram names only states that are explained', () => {
    const named = stateDiagram(rules).match(/^ {2}(\w+) --> (\w+):/gm) ?? [];
    expect(named.length).toBeGreaterThan(5);
    for (const line of named)
      for (const state of line.match(/\w+/g) ?? [])
        expect([...Object.keys(roles), 'any_state']).toContain(state);
  });
});
