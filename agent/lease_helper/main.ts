/**
 * `agent helper lease`: the root process that holds the kernel lease. It has its own unit, outlives the
 * agent, and does one thing: client ports are open until the deadline it was told last, and not a moment
 * longer.
 */
import { chmodSync, readFileSync, statSync } from 'node:fs';
import process from 'node:process';
import { type Config, effectiveLease, loadConfig } from '../config/index.ts';
import { leaseNote, leasePrints, noteText } from '../config/prints.ts';
import { AgentError, messageOf } from '../errors.ts';
import { boottime } from '../platform/boottime.ts';
import { writeAtomically } from '../platform/files.ts';
import { startNotify } from '../platform/notify.ts';
import { deadlineFile } from '../roles/firewall/names.ts';
import { clientPorts } from '../roles/firewall/render.ts';
import { UNITS } from '../trampoline/names.ts';
import { createConnections } from './connections.ts';
import { createEntries } from './entries.ts';
import { createGate } from './gate.ts';
import type { GateHands } from './gate_hands.ts';
import { createIpsetPipe } from './ipset_pipe.ts';
import { endLocal, type LocalParts } from './local.ts';
import { deadlineMarker } from './marker.ts';
import { createRules } from './rules.ts';
import { listen, serve } from './server.ts';

/** Somebody else's firewall program may throw our hooks out; looked at this often, ms. */
const HOOKS_EVERY = 30_000;
/**
 * An order takes milliseconds, and a second or two where the rules are replaced on a busy machine, seconds.
 */
const STUCK = 10;
/** /proc/uptime is rounded down. */
const TICK = 0.01;

const say: GateHands['say'] = (level, line) => {
  process.stderr.write(`${level === 'info' ? '' : `${level}: `}${line}\n`);
};

/** Active-only services in the order in which they stop; those that stay warm stay. */
export const unitsToStop = (config: Config): string[] =>
  config.services
    .filter((service) => service.active_only && !service.warm)
    .sort((a, b) => b.order - a.order)
    .flatMap(({ unit }) => (unit === undefined ? [] : [unit]));

export const localParts = (config: Config): LocalParts => ({
  postgresUnit: UNITS.postgres,
  dataDir: config.postgres.data_dir,
  units: unitsToStop(config),
});

/**
 * Runs until SIGTERM or SIGINT. What is open then stays so until its deadline; the next process goes on from
 * there.
 */
export async function runLeaseHelper(configPath: string): Promise<number> {
  refuseForeign(configPath);
  const { config } = loadConfig(configPath);
  const { lease_socket: socket } = config.firewall;
  const pipe = createIpsetPipe();
  const entries = createEntries(clientPorts(config), pipe);
  const marker = deadlineMarker(deadlineFile(socket));
  const failing = (what: string) => (thrown: unknown) => say('error', `${what}: ${messageOf(thrown)}`);
  const rules = createRules(config.paths.firewall_dir, say);
  const connections = createConnections({
    ports: clientPorts(config),
    database: config.postgres.port,
    pipe,
    say,
  });
  const gate = createGate(effectiveLease(config).renew_deadline / 1000, {
    now: () => boottime() + TICK,
    after: (seconds, callback) => {
      const timer = setTimeout(callback, Math.ceil(seconds * 1000));
      return () => clearTimeout(timer);
    },
    rules: rules.opening,
    opened: rules.opened,
    open: entries.open,
    shut: entries.shut,
    cut: connections.end,
    mark: marker.write,
    fenceDown: async () => {
      await Promise.all([
        rules.apply('fenced').catch(failing('applying the fenced rules')),
        endLocal(localParts(config), (line) => say('error', line)),
      ]);
    },
    closed: () => void rules.apply('standby').catch(failing('applying the rules of a standby')),
    say,
  });
  const server = serve(gate, say);
  await gate.resume(marker.read()).catch(failing('shutting what an earlier process left open'));
  await listen(server, socket, groupId(config.user));
  // After it listens: the folder is there. What cannot be told is said to be unknown; the lease is held all
  // the same.
  try {
    writeAtomically(leaseNote(config), noteText(leasePrints(config)));
    // The agent reads it, whatever umask the unit sets; nobody else enters the folder.
    chmodSync(leaseNote(config), 0o644);
  } catch (thrown) {
    failing('noting the configuration')(thrown);
  }
  say('info', `the kernel lease is held here, at most ${effectiveLease(config).renew_deadline} ms at a time`);
  const watch = setInterval(() => {
    if (gate.deadline !== null) rules.hook();
  }, HOOKS_EVERY);
  // Signs of life come from this loop and while orders are carried out alone: a helper that is frozen or
  // stuck is killed, and the next one ends what is left of a lease that ran out.
  const notifier = startNotify({ healthy: () => server.listening && gate.serves(STUCK) });
  await new Promise<void>((done) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => done());
  });
  clearInterval(watch);
  void notifier.stopping();
  server.close();
  await gate.settled();
  pipe.close();
  return 0;
}

/** Root goes by nothing that another user may have written. */
function refuseForeign(path: string): void {
  if (process.geteuid?.() !== 0) return;
  const { uid, mode } = statSync(path);
  if (uid === 0 && (mode & 0o022) === 0) return;
  throw new AgentError({
    class: 'operator',
    code: 'config_not_roots',
    message: `${path} can be written by users other than root`,
    hint: `chown root ${path}; chmod go-w ${path}`,
  });
}

/** The agent's own group, by name; undefined where there is none (then root alone may connect). */
function groupId(name: string): number | undefined {
  const line = readFileSync('/etc/group', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${name}:`));
  const gid = Number(line?.split(':')[2]);
  return line !== undefined && Number.isInteger(gid) ? gid : undefined;
}
