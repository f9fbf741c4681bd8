import * as v from 'valibot';
import { absolutePath, flag, port } from './fields.ts';
import { section } from './group.ts';

/** What clients of a manager connect to besides PostgreSQL: its web server, its broker, its file server. */
export const CLIENT_PORTS = [80, 443, 5671, 5672, 15_671, 15_672, 53_333] as const;

/** `firewall:` in the file. */
export const firewallSchema = section({
  /** Left out: on where services are systemd units. */
  enabled: v.optional(flag()),
  /** Closed unless this node is the active; `postgres.port` is always one of them. */
  client_ports: v.optional(v.array(port(), 'must be a list'), [...CLIENT_PORTS]),
  /** Where the helper that holds the kernel lease listens. */
  lease_socket: v.optional(absolutePath(), '/run/cloudify-lease/lease.sock'),
});
