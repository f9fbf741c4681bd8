import { expect, test } from 'bun:test';
import { choose, list } from './choose.ts';
import { jobsOf } from './jobs.ts';
import { groups, stages } from './stages.ts';

const namesOf = (asked: string[]) => choose(asked).chosen.map(({ stage }) => stage.name);

test('without a word everything is run, but for what another stage does anyway', () => {
  expect(namesOf([])).toEqual(stages.filter(({ onlyAsked }) => !onlyAsked).map(({ name }) => name));
});

test('stages and groups are asked for by name, and each is run once', () => {
  expect(namesOf(['contract', 'lint'])).toEqual(['lint', 'contract']);
  expect(namesOf(['quick', 'unit']).sort()).toEqual([...(groups.quick?.stages ?? [])].sort());
});

test('a test file is run alone, however its path is written', () => {
  for (const path of ['test/core/lsn.test.ts', './test/core/lsn.test.ts', 'core/lsn.test.ts']) {
    const { chosen, unknown } = choose([path]);
    expect(unknown).toEqual([]);
    expect(chosen.map(({ stage }) => stage.name)).toEqual(['unit']);
    const jobs = chosen.flatMap(({ stage, only }) => jobsOf(stage, only));
    expect(jobs.map(({ files }) => files)).toEqual([['core/lsn.test.ts']]);
  }
});

test('a file of a stage that is asked for as a whole takes nothing from it', () => {
  const { chosen } = choose(['unit', 'test/core/lsn.test.ts']);
  expect(chosen.map(({ only }) => only)).toEqual([undefined]);
});

test('a word that means nothing is said', () => {
  expect(choose(['lint', 'nonsense', 'test/core/none.test.ts'])).toMatchObject({
    unknown: ['nonsense', 'core/none.test.ts'],
  });
});

test('the list names whatever can be asked for', () => {
  for (const name of [...stages.map((stage) => stage.name), ...Object.keys(groups)])
    expect(list()).toContain(`${name} `);
});
