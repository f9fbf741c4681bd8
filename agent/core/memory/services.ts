/**
 * How often services were started in place of ended ones, and whether they are being started. Written here
 * alone.
 */

/** Services that have run for this long count as well: the next end is the first one. */
const WELL_AGAIN = 60_000;

export type ServicesMemory = {
  /** Starts since they last were well for a while; counted before each, none again after a promotion. */
  repairs: number;
  /** When the last was, own clock. */
  repairedAt: number;
  /** They are being started beside main. */
  starting: boolean;
  /** When they last had all been started, own clock. */
  upAt: number;
};

export const newServices = (): ServicesMemory => ({
  repairs: 0,
  repairedAt: Number.NEGATIVE_INFINITY,
  starting: false,
  upAt: Number.NEGATIVE_INFINITY,
});

export function countRepair(services: ServicesMemory, now: number): void {
  services.repairs += 1;
  services.repairedAt = now;
}

/** All of them run right now. */
export function seeAllRun(services: ServicesMemory, now: number): void {
  if (now - services.repairedAt > WELL_AGAIN) services.repairs = 0;
}

/** A former reign's tries do not count: its services were stopped since, not found dead. */
export function forgetRepairs(services: ServicesMemory): void {
  services.repairs = 0;
}

export function beginStart(services: ServicesMemory): void {
  services.starting = true;
}

export function allStarted(services: ServicesMemory, now: number): void {
  services.upAt = now;
}

export function endStart(services: ServicesMemory): void {
  services.starting = false;
}
