import { expect, test } from 'bun:test';
import { type ConfigInput, makeConfig } from '../../agent/config/index.ts';
import {
  differing,
  differingPaths,
  leasePrints,
  noteText,
  parseNote,
  printOf,
  printsOf,
  RENDERED_KEYS,
} from '../../agent/config/prints.ts';

const make = (input: ConfigInput = {}) => makeConfig(input);
const keys = (a: ConfigInput, b: ConfigInput) => differing(printsOf(make(a)), printsOf(make(b)));

test('the same settings have the same print, however they are written and wherever the file lies', () => {
  const one = make({ tags: { priority: 100 }, paths: { config: '/root/agent.yaml' } });
  expect(printOf(one)).toBe(printOf(make()));
  expect(differingPaths(one, make())).toEqual([]);
  expect(keys({ lease: { preset: 'default' } }, {})).toEqual([]);
});

test('any setting that differs is named by its key, and where it stands', () => {
  const changed: ConfigInput = {
    services: [{ name: 'a', unit: 'a.service' }],
    files: { folders: [{ id: 'etc', path: '/srv/etc' }] },
    node_name: 'm1',
    log: { level: 'debug' },
  };
  expect(keys({}, changed)).toEqual(['files', 'log', 'node_name', 'services']);
  expect(differingPaths(make(), make(changed))).toEqual([
    'files.enabled',
    'files.folders',
    'log.level',
    'node_name',
    'services',
  ]);
  expect(differing(printsOf(make()), printsOf(make(changed)), RENDERED_KEYS)).toEqual(['files', 'services']);
});

test("the lease's helper is concerned by what it goes by, and by nothing else", () => {
  const lease = (input: ConfigInput) => differing(leasePrints(make()), leasePrints(make(input)));
  expect(lease({ postgres: { parameters: { shared_buffers: '2GB' } }, tags: { priority: 1 } })).toEqual([]);
  expect(lease({ lease: { preset: 'fast' } })).toEqual(['lease.renew_deadline']);
  expect(lease({ checks: { check_ttl_multiplier: 3 } })).toEqual(['lease.renew_deadline']);
  expect(lease({ firewall: { client_ports: [80] } })).toEqual(['firewall']);
  expect(lease({ services: [{ name: 'a', unit: 'a.service' }] })).toEqual(['services']);
});

test('a note is read as it was written; what is none tells nothing', () => {
  const prints = printsOf(make());
  expect(parseNote(noteText(prints))).toEqual({ ...prints });
  for (const bad of [
    undefined,
    '',
    '{',
    'null',
    '{"schema":2,"prints":{}}',
    '{"schema":1,"prints":{"a":"b"}}',
  ])
    expect(parseNote(bad)).toBeUndefined();
  expect(parseNote(`${noteText(prints)}${' '.repeat(70_000)}`)).toBeUndefined();
});
