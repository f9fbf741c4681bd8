/** What the words after `npm test --` mean: stages, groups of them, test files. */
import { filesOf } from './jobs.ts';
import { groups, type Stage, stages } from './stages.ts';

/** `only`: these of its files. */
export type Chosen = { stage: Stage; only?: ReadonlySet<string> };

/** Without a word everything, but for what another stage does anyway. `unknown`: words that mean nothing. */
export function choose(asked: readonly string[]): { chosen: Chosen[]; unknown: string[] } {
  if (asked.length === 0) {
    return { chosen: stages.filter(({ onlyAsked }) => !onlyAsked).map((stage) => ({ stage })), unknown: [] };
  }
  const words = asked.flatMap((word) => groups[word]?.stages ?? [word]);
  const left = new Set(words.map((word) => word.replace(/^(\.\/)?test\//, '')));
  const chosen = stages.flatMap((stage): Chosen[] => {
    const files = 'suite' in stage ? filesOf(stage.suite).filter((file) => left.delete(file)) : [];
    if (left.delete(stage.name)) return [{ stage }];
    return files.length > 0 ? [{ stage, only: new Set(files) }] : [];
  });
  return { chosen, unknown: [...left] };
}

/** One line for each name that can be asked for. */
export function list(): string {
  const named = [
    ...stages.map(({ name, what }) => ({ name, what })),
    ...Object.entries(groups).map(([name, { what }]) => ({ name, what })),
    { name: 'test/...', what: 'one test file, alone' },
  ];
  return named.map(({ name, what }) => `${name.padEnd(12)} ${what}`).join('\n');
}
