/**
 * Passes the checks' results on to Consul: the service `manager`, tagged with the role, with a TTL check for
 * each. A change is passed on at once, what stays the same every third of its TTL. A dead agent therefore
 * turns critical there by itself.
 */
import type { CheckName } from '../config/checks.ts';
import type { ConsulCatalog, ServiceRegistration } from '../consul/port_catalog.ts';
import type { Logger } from '../log/log.ts';
import type { Clock } from '../platform/clock.ts';
import type { NodeRole } from './port.ts';
import type { CheckReport } from './runner.ts';
import type { Timers } from './timers.ts';

export interface ConsulTtlOptions {
  readonly catalog: Pick<ConsulCatalog, 'registerService' | 'updateTtl'>;
  readonly node: string;
  readonly address: string;
  /** Of the agent's API. */
  readonly port: number;
  /** Each check's TTL, ms. */
  readonly ttls: Readonly<Partial<Record<CheckName, number>>>;
  readonly reports: () => readonly CheckReport[];
  readonly role: () => NodeRole;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Logger;
}

export interface ConsulTtl {
  start(): void;
  /** Leaves the service registered: a node that is down stays listed, and its checks turn critical. */
  stop(): void;
  /** Something may have changed. */
  wake(): void;
}

/** Consul does not answer: try again this much later, ms. */
const RETRY = 1000;

export const serviceId = (node: string): string => `manager-${node}`;
export const checkId = (node: string, name: CheckName): string => `${serviceId(node)}:${name}`;

interface Sent {
  readonly status: CheckReport['status'];
  readonly at: number;
}

const ttlOf = ({ ttls }: ConsulTtlOptions, name: CheckName): number => ttls[name] ?? Number.POSITIVE_INFINITY;

function registration(
  o: ConsulTtlOptions,
  role: NodeRole,
  reports: readonly CheckReport[],
): ServiceRegistration {
  const status = new Map(reports.map((report) => [report.name, report.status]));
  return {
    id: serviceId(o.node),
    name: 'manager',
    address: o.address,
    port: o.port,
    tags: role === 'none' ? [] : [role],
    checks: (Object.keys(o.ttls) as CheckName[]).map((name) => ({
      id: checkId(o.node, name),
      name,
      ttlMs: ttlOf(o, name),
      status: status.get(name) ?? 'critical',
    })),
  };
}

export function consulTtl(o: ConsulTtlOptions): ConsulTtl {
  const ttl = (name: CheckName): number => ttlOf(o, name);
  /**
   * One rhythm for all: what would be late at the next beat goes out with this one. The rest is room for
   * drift.
   */
  const beat = (Math.min(...Object.values(o.ttls)) / 3) * 0.9;
  const sent = new Map<CheckName, Sent>();
  /** The role whose tag is registered; null: not registered, as far as we know. */
  let registered: NodeRole | null = null;
  let reachable = true;
  let started = false;
  let sending = false;
  let again = false;
  let disarm: (() => void) | null = null;

  /** False: Consul did not answer. */
  async function register(role: NodeRole, reports: readonly CheckReport[]): Promise<boolean> {
    const done = await o.catalog.registerService(registration(o, role, reports));
    if (done.kind === 'unknown') return answered(false, done.cause.message);
    registered = role;
    // Their texts are not there yet: the updates that follow bring them.
    sent.clear();
    return true;
  }

  /** False: try again soon. */
  async function send(): Promise<boolean> {
    const role = o.role();
    if (registered !== role && !(await register(role, o.reports()))) return false;
    const now = o.clock.now();
    const due = o.reports().filter((report) => isDue(report, now));
    // All at once costs the fewest wake-ups; a Consul that did not answer is asked with one first.
    const first = reachable ? [] : due.splice(0, 1);
    for (const batch of [first, due])
      if ((await Promise.all(batch.map((report) => update(report, now)))).includes(false)) return false;
    return answered(true);
  }

  async function update(report: CheckReport, now: number): Promise<boolean> {
    const done = await o.catalog.updateTtl(checkId(o.node, report.name), report.status, report.output);
    if (done.kind === 'unknown') return answered(false, done.cause.message);
    // A Consul with a new data folder, or somebody took the service out.
    if (done.kind === 'absent') registered = null;
    else sent.set(report.name, { status: report.status, at: now });
    return done.kind === 'ok';
  }

  function isDue(report: CheckReport, now: number): boolean {
    const last = sent.get(report.name);
    if (last === undefined || last.status !== report.status) return true;
    // A result that is older than its TTL is none any more: Consul may say so.
    return now - last.at + beat > ttl(report.name) / 3 && now - report.at <= ttl(report.name);
  }

  function answered(yes: boolean, why = ''): boolean {
    if (yes !== reachable) {
      if (yes) o.log.info('Consul accepts check results again');
      else o.log.warn(`Consul does not accept check results: ${why}`);
    }
    reachable = yes;
    return yes;
  }

  async function flush(): Promise<void> {
    if (!started) return;
    if (sending) {
      again = true;
      return;
    }
    sending = true;
    again = false;
    disarm?.();
    const done = await send().catch((error: unknown) => answered(false, String(error)));
    sending = false;
    if (!started) return;
    disarm = o.timers.after(done ? (again ? 0 : beat) : Math.min(RETRY, beat), () => void flush());
  }

  return {
    start() {
      started = true;
      void flush();
    },
    stop() {
      started = false;
      disarm?.();
    },
    wake: () => void flush(),
  };
}
