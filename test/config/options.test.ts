import { afterAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type ConfigInput,
  changeSettings,
  clusterSettings,
  consulUrls,
  makeConfig,
  parseOptions,
  postgresListen,
  redact,
  requireNode,
  withClusterSettings,
  withOptions,
} from '../../agent/config/index.ts';

const dir = mkdtempSync(join(tmpdir(), 'options-'));
afterAll(() => rmSync(dir, { recursive: true }));

describe('--options', () => {
  test('takes pairs, JSON and files, the later over the earlier', () => {
    const file = join(dir, 'options.yaml');
    writeFileSync(file, 'lease:\n  preset: fast\nhooks: {timeout: 3}\n');
    const parsed = parseOptions([
      file,
      'check_ttl_multiplier=3; check_fail_fast=false;hooks.timeout=9s',
      '{"tags.priority": 5, "services": []}',
    ]);
    expect(parsed as unknown).toEqual({
      lease: { preset: 'fast' },
      hooks: { timeout: '9s' },
      checks: { check_ttl_multiplier: 3, check_fail_fast: false },
      tags: { priority: 5 },
      services: [],
    });
    expect(makeConfig(parsed).tags.priority).toBe(5);
  });

  test('lies over the file key by key', () => {
    const input: ConfigInput = { lease: { preset: 'fast', retry_period: 1 } };
    expect(withOptions(input, { lease: { retry_period: 0.4 } })).toEqual({
      lease: { preset: 'fast', retry_period: 0.4 },
    });
    expect(input).toEqual({ lease: { preset: 'fast', retry_period: 1 } });
  });

  test.each([
    ['nothing of the kind', 'hello'],
    ['no value', 'a=1;b'],
    ['broken JSON', '{"a": '],
    ['a name that would reach into objects', '__proto__.x=1'],
    ['an empty part of a name', 'a..b=1'],
  ])('refuses %s as bad usage', (_name, text) => {
    expect(() => parseOptions(text)).toThrow(expect.objectContaining({ class: 'usage' }));
  });
});

describe("the cluster's settings", () => {
  test('are the common part of a file and win over a node that has its own', () => {
    const file: ConfigInput = { node_name: 'a', lease: { preset: 'fast' }, postgres: { port: 1 } };
    expect(clusterSettings(file)).toEqual({ lease: { preset: 'fast' } });
    const config = withClusterSettings(file, { checks: { rise: 4 } });
    expect([config.node_name, config.lease.preset, config.checks.rise, config.postgres.port]).toEqual([
      'a',
      'default',
      4,
      1,
    ]);
  });

  test('change only to something valid, and only by keys that are theirs', () => {
    expect(changeSettings({ lease: { preset: 'fast' } }, { synchronous_mode: 'off' })).toEqual({
      lease: { preset: 'fast' },
      synchronous_mode: 'off',
    });
    expect(() => changeSettings({}, { lease: { renew_deadline: 7 } })).toThrow('lease.lease_duration');
    expect(() => changeSettings({}, { paths: { executable: '/tmp/x' } })).toThrow(
      expect.objectContaining({ code: 'not_cluster_setting' }),
    );
  });
});

describe('printed', () => {
  test('a configuration shows no secret', () => {
    const config = makeConfig({
      consul: { token: 'hush' },
      api: { users: [{ name: 'admin', password_hash: 'scrypt:1:1:1:hush:hush', role: 'admin' }] },
      services: [
        {
          name: 'w',
          unit: 'w.service',
          env: { DB: 'postgres://me:hush@h/d', API_TOKEN: 'hush', MODE: 'fast' },
        },
      ],
    });
    const shown = redact(config);
    expect(JSON.stringify(shown)).not.toContain('hush');
    expect(shown.services[0]?.env).toEqual({
      DB: 'postgres://me:[redacted]@h/d',
      API_TOKEN: '[redacted]',
      MODE: 'fast',
    });
    expect(config.consul.token).toBe('hush');
  });
});

test('a node on a loopback address keeps to it, another listens on 127.0.0.1 as well', () => {
  const listen = (host_ip: string) => postgresListen(requireNode(makeConfig({ node_name: 'a', host_ip })));
  expect(listen('127.0.0.12')).toEqual(['127.0.0.12']);
  expect(listen('10.0.0.12')).toEqual(['10.0.0.12', '127.0.0.1']);
});

test('Consul is asked at home first, then at its peers', () => {
  const urls = (host_ip: string, tls: boolean, consul: ConfigInput['consul']) =>
    consulUrls(requireNode(makeConfig({ node_name: 'a', host_ip, api: { tls }, consul })));
  const peers = ['10.0.0.2:8500', '[fd00::2]:8500', '127.0.0.1:8500'];
  expect(urls('127.0.0.9', false, { peers })).toEqual([
    'http://127.0.0.1:8500',
    'http://10.0.0.2:8500',
    'http://[fd00::2]:8500',
  ]);
  // With tokens its own server has to show its certificate as well; one that somebody else runs is asked as
  // configured.
  const secured = { peers: ['10.0.0.2:8501'], https_port: 18_501 };
  expect(urls('10.0.0.1', true, secured)).toEqual(['https://10.0.0.1:18501', 'https://10.0.0.2:8501']);
  expect(urls('10.0.0.1', true, { ...secured, mode: 'external' })[0]).toBe('http://127.0.0.1:8500');
});
