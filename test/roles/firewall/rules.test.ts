import { describe, expect, test } from 'bun:test';
import { makeConfig } from '../../../agent/config/index.ts';
import { hookLines } from '../../../agent/roles/firewall/apply.ts';
import { FAMILIES } from '../../../agent/roles/firewall/names.ts';
import {
  bootExec,
  bootStopExec,
  clientPorts,
  firewallFiles,
  removalCommands,
  rulePorts,
} from '../../../agent/roles/firewall/render.ts';
import { renderBoot, renderRules } from '../../../agent/roles/firewall/rules.ts';
import { FIREWALL_ROLES } from '../../../agent/trampoline/names.ts';

const config = makeConfig({ firewall: { client_ports: [443, 5671] } });
const ports = rulePorts(config);
const linesOf = (text: string) => text.split('\n');

describe('rules', () => {
  test('name no chain, set or hook but our own, in every file', () => {
    for (const { name, content } of firewallFiles(config)) {
      for (const line of linesOf(content)) {
        if (name === 'sets') expect(line).toMatch(/^$|^(create|flush|add) cloudify-/);
        else
          expect(line).toMatch(
            /^$|^\*filter$|^COMMIT$|^:CLOUDIFY-(IN|OUT) - \[0:0\]$|^-A CLOUDIFY-(IN|OUT) |^-I (INPUT|OUTPUT) 1 -j CLOUDIFY-(IN|OUT)$/,
          );
      }
    }
  });

  test('are one transaction that empties and fills both chains', () => {
    for (const role of FIREWALL_ROLES) {
      const text = renderRules(role, 'v4', ports);
      expect(text).toStartWith('*filter\n:CLOUDIFY-IN - [0:0]\n:CLOUDIFY-OUT - [0:0]\n');
      expect(text.match(/^COMMIT$/gm)).toHaveLength(1);
      expect(text).toEndWith('COMMIT\n');
    }
  });

  test('of a fenced node never ask the lease; the others do, in both directions', () => {
    for (const family of FAMILIES) {
      expect(renderRules('fenced', family, ports)).not.toContain('cloudify-lease');
      expect(renderBoot(family, ports)).not.toContain('cloudify-lease');
      for (const role of ['active', 'standby'] as const) {
        expect(renderRules(role, family, ports)).toContain(
          '-A CLOUDIFY-IN -p tcp -m set --match-set cloudify-lease dst -j RETURN',
        );
        expect(renderRules(role, family, ports)).toContain(
          '-A CLOUDIFY-OUT -p tcp -m set --match-set cloudify-lease src -j RETURN',
        );
      }
    }
  });

  test('of an active without its lease only delay, of others refuse', () => {
    expect(renderRules('active', 'v4', ports)).toContain('cloudify-client dst -j DROP');
    for (const role of ['standby', 'fenced'] as const)
      expect(renderRules(role, 'v6', ports)).toContain(
        'cloudify-client dst -j REJECT --reject-with tcp-reset',
      );
  });

  test('let members reach the database, Consul and the API in every role, by their own family', () => {
    for (const role of FIREWALL_ROLES) {
      const rules = linesOf(renderRules(role, 'v6', ports));
      const member = rules.findIndex((line) => line.includes('--match-set cloudify-peers6 src -j ACCEPT'));
      const client = rules.findIndex((line) => line.includes('cloudify-client dst'));
      expect(member).toBeGreaterThan(0);
      expect(member).toBeLessThan(client);
      expect(rules[member]).toContain('--dports 5432,8700,8300,8301,8302,8501 ');
      expect(rules.join()).not.toContain('cloudify-peers4');
    }
  });

  test('let a reset out before anything is dropped, or no client would hear that it is refused', () => {
    const out = linesOf(renderRules('fenced', 'v4', ports)).filter((line) =>
      line.startsWith('-A CLOUDIFY-OUT'),
    );
    expect(out[0]).toContain('--tcp-flags RST RST -j RETURN');
  });

  test('let the end of a connection out, in every role, and not a byte of data with it', () => {
    for (const role of FIREWALL_ROLES) {
      for (const [family, header] of [
        ['v4', 40],
        ['v6', 60],
      ] as const) {
        const out = linesOf(renderRules(role, family, ports)).filter((line) =>
          line.includes('CLOUDIFY-OUT -p'),
        );
        const fins = out.filter((line) => line.includes('FIN FIN'));
        // No header is shorter than this, so nothing but a header is as short; with the option it is 12 bytes
        // longer.
        expect(fins.map((line) => line.split('FIN FIN ')[1])).toEqual([
          `--tcp-option 8 -m length --length ${header + 12} -j RETURN`,
          `-m length --length ${header} -j RETURN`,
        ]);
        const dropped = out.findIndex((line) => line.endsWith('cloudify-client src -j DROP'));
        for (const fin of fins) expect(out.indexOf(fin)).toBeLessThan(dropped);
      }
    }
  });

  test('never name more than fifteen ports at once', () => {
    const many = { ...ports, memberTcp: Array.from({ length: 40 }, (_, i) => 9000 + i) };
    const rules = renderRules('active', 'v4', many);
    for (const [, list] of rules.matchAll(/--dports ([\d,]+)/g))
      expect((list ?? '').split(',').length).toBeLessThanOrEqual(15);
    expect(rules).toContain('9039');
  });
});

test("the database's port is always a client port, and none comes twice", () => {
  expect(clientPorts(config)).toEqual([443, 5432, 5671]);
  expect(
    clientPorts(makeConfig({ postgres: { port: 443 }, firewall: { client_ports: [443, 443] } })),
  ).toEqual([443]);
});

describe('hooks', () => {
  const listed = (...rules: string[]) => ['-P INPUT ACCEPT', '-P OUTPUT ACCEPT', ...rules, ''].join('\n');

  test('in first place once each are left alone', () => {
    expect(
      hookLines(listed('-A INPUT -j CLOUDIFY-IN', '-A INPUT -j OTHER', '-A OUTPUT -j CLOUDIFY-OUT')),
    ).toBeUndefined();
  });

  test('that are missing are put in first', () => {
    expect(hookLines(listed('-A INPUT -p tcp -j ACCEPT'))).toBe(
      '*filter\n-I INPUT 1 -j CLOUDIFY-IN\n-I OUTPUT 1 -j CLOUDIFY-OUT\nCOMMIT\n',
    );
  });

  test('behind somebody else or doubled become one in first place, in one transaction', () => {
    const lines = hookLines(
      listed(
        '-A INPUT -p tcp -j ACCEPT',
        '-A INPUT -j CLOUDIFY-IN',
        '-A INPUT -j CLOUDIFY-IN',
        '-A OUTPUT -j CLOUDIFY-OUT',
      ),
    );
    expect(lines).toBe(
      '*filter\n-D INPUT -j CLOUDIFY-IN\n-D INPUT -j CLOUDIFY-IN\n-I INPUT 1 -j CLOUDIFY-IN\nCOMMIT\n',
    );
  });
});

test('boot and removal use fixed programs and our own names alone', () => {
  for (const argv of bootExec(config)) expect(argv[0]).toStartWith('/usr/sbin/');
  expect(bootExec(config).map((argv) => argv.at(-1))).toEqual(
    ['sets', 'boot.v4', 'boot.v6'].map((name) => `/etc/cloudify/firewall/${name}`),
  );
  for (const argv of [...bootStopExec(), ...removalCommands().map((one) => one.argv)])
    expect(argv.at(-1)).toMatch(/^(CLOUDIFY-(IN|OUT)|cloudify-[a-z]+\d?)$/);
});
