/** What a machine must be like after install, and how its state is compared. */
import { ROOT_CALL_SOCKETS } from '../../agent/install/names.ts';
import type { Machine } from './machine.ts';

/** owner:group mode path, as in the documentation. */
export const MODES = `
root:root 755 /opt/cloudify
root:root 755 /opt/cloudify/agent
root:cluster 755 /etc/cloudify
root:cluster 640 /etc/cloudify/agent.yaml
root:root 644 /etc/cloudify/trampoline.json
root:cluster 640 /etc/cloudify/installed.json
root:root 755 /etc/cloudify/firewall
cfyuser:cluster 2750 /etc/cloudify/cluster-ssl
cfyuser:cfyuser_consul 2750 /etc/cloudify/cluster-ssl/consul
cfyuser:cfyuser_consul 2750 /etc/cloudify/consul
root:root 755 /etc/cloudify/hooks
root:root 755 /etc/cloudify/hooks/pre-promote.d
root:cluster 755 /var/lib/cloudify
cfyuser:cluster 2750 /var/lib/cloudify/agent
postgres:cfyuser 2750 /var/lib/cloudify/agent/postgres
cfyuser_consul:cfyuser 2750 /var/lib/cloudify/consul
cfyuser:cfyuser_syncthing 2770 /var/lib/cloudify/syncthing
postgres:cfyuser 2770 /var/lib/cloudify/diverged
cfyuser:cluster 2750 /var/log/cloudify-cluster
root:root 700 /var/log/cloudify-root
root:postgres 750 /var/log/cloudify-postgres
cfyuser:cluster 750 /run/cloudify
root:cfyuser 750 /run/cloudify-lease
postgres:cfyuser 750 /run/cloudify-postgres
root:cfyuser 750 /run/cloudify-root-agent
root:postgres 750 /run/cloudify-root-postgres
cfyuser:cfyuser 600 /run/cloudify-root-agent/call.sock
postgres:postgres 600 /run/cloudify-root-postgres/call.sock
root:root 440 /etc/sudoers.d/cloudify
`
  .trim()
  .split('\n');

/** The lines of `MODES` that do not hold. */
export async function wrongModes(vm: Machine): Promise<string[]> {
  const paths = MODES.map((line) => line.split(' ')[2] ?? '');
  const { stdout } = await vm.exec(['stat', '-c', '%U:%G %a %n', ...paths]);
  const seen = stdout.trim().split('\n');
  return MODES.filter((line) => !seen.includes(line));
}

/**
 * Everything that install, uninstall or teardown could change, as text: owners, modes, contents, accounts,
 * units.
 */
export const fingerprint = (vm: Machine): Promise<string> =>
  vm.must(
    `find /etc /opt /usr/lib/systemd /var/lib -xdev \\( -path /var/lib/postgresql/15 -o -path /var/lib/systemd -o -path /var/lib/logrotate -o -path /var/lib/rabbitmq \\) -prune -o \\
       \\( -name '*-' -o -name .pwd.lock -o -name subuid -o -name subgid -o -name ld.so.cache \\) -o -printf '%p %u:%g %m %l\\n' | sort
     find /etc /opt -xdev -type f ! -name '*-' ! -name subuid ! -name subgid -print0 | sort -z | xargs -0 sha256sum
     find /var/log/cloudify* /run/cloudify* -printf '%p %u:%g %m\\n' 2>/dev/null | sort
     systemctl list-unit-files --no-legend --no-pager | sort`,
  );

/**
 * As a version left it that called root through sudo alone: units that may gain privileges, no sockets. The
 * agent runs so.
 */
export const asBeforeSockets = (vm: Machine): Promise<string> =>
  vm.must(
    `cd /etc/systemd/system
     sed -i -E '/^(NoNewPrivileges|SystemCall|Restrict|Private|Protect|LockPersonality|CapabilityBoundingSet|Upholds)/d; s/ cloudify-root-agent.socket//' cloudify-agent.service
     sed -i -E '/^(NoNewPrivileges|SystemCall|Restrict|Private|Protect|LockPersonality|CapabilityBoundingSet|Upholds|Wants)/d; s/ cloudify-root-postgres.socket//' cloudify-postgres-helper.service
     systemctl -q disable ${ROOT_CALL_SOCKETS.join(' ')}
     rm cloudify-root-*; systemctl daemon-reload; systemctl stop ${ROOT_CALL_SOCKETS.join(' ')}; rm -r /run/cloudify-root-*
     systemctl restart cloudify-postgres-helper.service cloudify-agent.service`,
  );

/** The lines that only one of them has, a few of them. */
export function difference(before: string, after: string): string | undefined {
  const [old, now] = [before.split('\n'), after.split('\n')];
  const lines = [
    ...old.filter((line) => !now.includes(line)).map((line) => `- ${line}`),
    ...now.filter((line) => !old.includes(line)).map((line) => `+ ${line}`),
  ];
  return lines.length === 0 ? undefined : lines.slice(0, 12).join('\n');
}
