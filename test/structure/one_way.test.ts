import { describe, expect, test } from 'bun:test';
import { code, sources } from './files.ts';

/** One way for each thing: what is written in one place only, and what the others call instead. */
const ways: { thing: string; pattern: RegExp; home: string[]; instead: string }[] = [
  {
    thing: 'to wait a while',
    pattern: /new Promise\S*\(\s*\(\w+\) =>\s*\{?\s*setTimeout\(\w+,/,
    // The command line reaches the agent through its API alone; its clock is the terminal's, which tests
    // replace.
    home: ['cli/common/terminal.ts'],
    instead: 'sleep of agent/platform/clock.ts',
  },
  {
    thing: 'to ask again until a time is over',
    pattern: /\bfunction (poll\w*|until\w*|waitFor|within|deadline)\b/,
    home: ['agent/platform/clock.ts', 'cli/common/progress.ts'],
    instead: 'until, deadline or within of agent/platform/clock.ts',
  },
  {
    thing: 'what a thrown value says',
    pattern: /instanceof Error\s*\?\s*\w+\.message\s*:\s*String\(|\(\w+ as Error\)\.message/,
    // The trampoline loads nothing from outside its folder.
    home: ['agent/errors.ts', 'agent/trampoline/failure.ts'],
    instead: 'messageOf, or explain with its causes, of agent/errors.ts',
  },
  {
    thing: 'to do one after the other',
    pattern: /let \w+: Promise<\w+> = Promise\.resolve\(\)/,
    // The helper's is no line: each look at the connections stands for itself, and tests wait for the last.
    home: ['agent/lease_helper/connections.ts', 'agent/platform/serial.ts'],
    instead: 'createSerial of agent/platform/serial.ts',
  },
  {
    thing: 'to start again what ended by itself',
    pattern: /\bexit\.expected \|\|/,
    home: ['agent/roles/services/keep_running.ts'],
    instead: 'keepRunning of agent/roles/services/keep_running.ts',
  },
  {
    thing: 'to tell that a start is out of date',
    pattern: /let (generation|count|downs)\b/,
    home: ['agent/platform/stops.ts'],
    instead: 'createStops of agent/platform/stops.ts',
  },
  {
    thing: 'to read how long the machine runs',
    pattern: /'\/proc\/uptime'/,
    home: ['agent/platform/boottime.ts', 'agent/trampoline/answer.ts'],
    instead: 'boottime of agent/platform/boottime.ts',
  },
  {
    thing: 'to compare secrets',
    pattern: /\btimingSafeEqual\b/,
    home: ['agent/platform/password.ts'],
    instead: 'sameSecret of agent/platform/password.ts',
  },
  {
    thing: 'to refuse who is in no cluster, or a node that is not there',
    pattern: /code: '(not_in_cluster|removed_from_cluster|no_such_node)'|'no_such_node'/,
    home: ['agent/errors.ts'],
    instead: 'notInCluster, removedFromCluster or noSuchNode of agent/errors.ts',
  },
  {
    thing: 'names of units, users, places and sets',
    pattern:
      /['"`]cloudify-[a-z_-]+\.service['"`]|'cloudify-(lease|client|peers[46])'|\}_(consul|syncthing)`|'\/var\/(lib|log)\/cloudify-(root|postgres)/,
    home: ['agent/trampoline/names.ts'],
    instead: 'agent/trampoline/names.ts, which root loads too',
  },
];

const files = [...sources('agent'), ...sources('cli')];

describe('one way for each thing', () => {
  for (const { thing, pattern, home, instead } of ways) {
    test(`${thing}: ${instead}`, () => {
      const found = files.filter((file) => pattern.test(code(file)));
      expect(found).toEqual(home);
    });
  }
});

/** Names of types that meant two to four things each. */
const onceOnly = ['FileFacts', 'FirewallRole', 'Member', 'Policy', 'Role', 'Session', 'Verdict'];

test('names that once meant several things mean one, or none any more', () => {
  const counts = onceOnly.map((name) => {
    const declared = new RegExp(`\\b(type|interface|class) ${name}\\b(?!,| \\}| from)`);
    return [name, files.filter((file) => declared.test(code(file)))] as const;
  });
  expect(counts.filter(([, where]) => where.length > 1)).toEqual([]);
});
