/**
 * The manager's own services, as the core's `services` port sees them: active-only ones in order, and the
 * rest.
 */

import type { ServiceConfig } from '../../config/index.ts';
import type { ServiceFacts } from '../../core/ports.ts';
import type { Outcome } from '../../core/postgres.ts';
import { messageOf } from '../../errors.ts';
import { deadline } from '../../platform/clock.ts';
import { createStops } from '../../platform/stops.ts';
import type { ServiceDriver, ServiceStatus, ServiceUnit } from './driver.ts';

export function unitOf(service: ServiceConfig): ServiceUnit {
  const [command, ...args] = service.command ?? [];
  return {
    name: service.name,
    ...(service.unit === undefined ? {} : { unit: service.unit }),
    ...(command === undefined ? {} : { command, args }),
    ...(service.cwd === undefined ? {} : { cwd: service.cwd }),
    env: service.env,
    managers: true,
    startTimeout: service.start_timeout,
    stopTimeout: service.stop_timeout,
  };
}

const DONE: Outcome = { kind: 'done' };

export function createServiceRunner(services: readonly ServiceConfig[], driver: ServiceDriver) {
  const ordered = [...services].sort((a, b) => a.order - b.order);
  const activeOnly = ordered.filter((s) => s.active_only && !s.warm);
  const always = ordered.filter((s) => !s.active_only || s.warm);

  /**
   * Each `down` ends what was being started: nothing is begun after it that an earlier `up` had still before
   * it.
   */
  const stops = createStops();

  const each = async (
    list: readonly ServiceConfig[],
    act: (unit: ServiceUnit) => Promise<unknown>,
    stale: () => boolean = () => false,
  ): Promise<Outcome> => {
    const failures: string[] = [];
    for (const service of list) {
      if (stale()) return { kind: 'failed', why: `${service.name} was not started: a stop was requested` };
      try {
        await act(unitOf(service));
      } catch (thrown) {
        failures.push(messageOf(thrown));
      }
    }
    return failures.length === 0 ? DONE : { kind: 'failed', why: failures.join('; ') };
  };

  return {
    services: ordered,
    status: (name: string): Promise<ServiceStatus> | undefined => {
      const service = ordered.find((s) => s.name === name);
      return service === undefined ? undefined : driver.status(unitOf(service));
    },
    async facts(): Promise<ServiceFacts> {
      const facts: ServiceFacts = { running: [], missing: [], missingAlways: [] };
      for (const service of ordered) {
        const { state } = await driver.status(unitOf(service));
        const active = activeOnly.includes(service);
        if (state === 'running') {
          if (active) facts.running.push(service.name);
        } else if (state !== 'unknown') (active ? facts.missing : facts.missingAlways).push(service.name);
      }
      return facts;
    },
    up: (): Promise<Outcome> => each(activeOnly, (unit) => driver.start(unit), stops.asked()),
    /** Each has its own time to stop, all of them together `ms`; what is left of it then is killed. */
    down: (ms: number): Promise<Outcome> => {
      const end = deadline(ms);
      return stops.stop(() =>
        each([...activeOnly].reverse(), (unit) =>
          driver.stop(unit, { timeout: Math.max(100, Math.min(unit.stopTimeout ?? ms, end.left())) }),
        ),
      );
    },
    repair: (names: string[]): Promise<Outcome> =>
      each(
        always.filter((s) => names.includes(s.name)),
        (unit) => driver.start(unit),
      ),
  };
}
export type ServiceRunner = ReturnType<typeof createServiceRunner>;
