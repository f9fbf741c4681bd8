/**
 * What the long test files take, as a run prints it at its end: only for the order in which they are begun, so it need not be exact.
 * A file that is not here is taken for a short one.
 */
export const long: Record<string, number> = {
  'sim/seeds.test.ts': 165,
  'sim/mutations.test.ts': 50,
  'sim/lease_times.test.ts': 10,

  'http/guessing.test.ts': 6,
  'core/mutants.test.ts': 5,
  'doctor/doctor.test.ts': 5,
  'structure/release.test.ts': 4,
  'structure/leaves.test.ts': 4,
  'http/tls.test.ts': 4,
  'roles/root/socket.test.ts': 8,
  'security/authority_files.test.ts': 3,
  'cli/commands.test.ts': 3,
  'roles/services/services.test.ts': 4,

  'contract/syncthing_return.test.ts': 200,
  'contract/consul_security.test.ts': 70,
  'contract/consul_impostor.test.ts': 50,
  'contract/syncthing_impostor.test.ts': 40,
  'contract/consul_cluster.test.ts': 32,
  'contract/postgres_helper.test.ts': 30,
  'contract/consul_management.test.ts': 26,
  'contract/check_runner.test.ts': 24,
  'contract/client_ends.test.ts': 23,
  'contract/syncthing.test.ts': 18,
  'contract/postgres_late.test.ts': 18,
  'contract/postgres_divergence.test.ts': 13,

  'cases/shapes.test.ts': 60,
  'cases/slots_before_fit.test.ts': 40,
  'cases/proxies.test.ts': 40,
  'cases/preflight.test.ts': 30,
  'cases/umask.test.ts': 25,
  'cases/start_reason.test.ts': 20,
  'cases/mounts.test.ts': 15,
  'cases/logical_slots.test.ts': 15,
  'cases/parameters.test.ts': 12,
  'cases/archiver_at_the_stop.test.ts': 12,
  'cases/role_settings.test.ts': 12,

  'dev/tls.test.ts': 180,
  'dev/renew_ca.test.ts': 170,
  'dev/failover.test.ts': 100,
  'dev/outage.test.ts': 80,
  'dev/freeze.test.ts': 75,
  'dev/continuity.test.ts': 70,
  'dev/ahead.test.ts': 70,
  'dev/ready.test.ts': 65,
  'dev/records.test.ts': 60,
  'dev/cluster.test.ts': 60,
  'dev/chaos.test.ts': 60,
  'dev/lease_times.test.ts': 60,
  'dev/files_later.test.ts': 60,
  'dev/deno.test.ts': 60,
  'dev/flood.test.ts': 40,
  'dev/dev.test.ts': 25,
  'dev/in_force.test.ts': 18,
  'dev/ledger.test.ts': 14,

  'lab/cluster.test.ts': 200,
  'lab/join.test.ts': 150,
  'lab/trampoline.test.ts': 60,
  'lab/install.test.ts': 50,
  'lab/lab.test.ts': 40,
};

/** `file`: under test/. */
export const secondsOf = (file: string): number => long[file] ?? 0.5;
