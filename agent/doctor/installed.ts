/** What install made: is it there, as the configuration wants it? On VMs. */
import { accessSync, constants, lstatSync } from 'node:fs';
import process from 'node:process';
import type { Config } from '../config/resolve.ts';
import { changeLine, changesOf } from '../install/diff.ts';
import { trampolinePath } from '../install/names.ts';
import { planOf } from '../install/plan.ts';
import { realSight } from '../install/real_sight.ts';
import { membership } from '../install/teardown.ts';
import type { Wanted } from '../install/wanted.ts';
import { errno } from '../platform/files.ts';
import { ROOT_SOCKETS } from '../platform/paths.ts';
import { run } from '../platform/process.ts';
import { callOverSocket } from '../roles/root/socket.ts';
import { UNITS } from '../trampoline/names.ts';
import { rootPolicyOf } from '../trampoline/policy.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

const INSTALL = "run 'agent install' as root; 'agent install --dry-run' shows the changes";

/** May this user see whether it is right? */
function visible(wanted: Wanted): boolean {
  if (!('path' in wanted)) return true;
  try {
    lstatSync(wanted.path);
    if (wanted.kind === 'file') accessSync(wanted.path, constants.R_OK);
    return true;
  } catch (error) {
    return errno(error) !== 'EACCES';
  }
}

const KINDS: Record<Wanted['kind'], string> = {
  group: 'accounts',
  user: 'accounts',
  member: 'accounts',
  folder: 'folders',
  file: 'files',
  executable: 'files',
  link: 'files',
  move: 'accounts',
  unit: 'units',
};

const SHOWN = 4;

async function plan(config: Config): Promise<Finding[]> {
  const whole = planOf(config, { configText: '' });
  const seen = whole.filter(visible);
  const changes = await changesOf(seen, realSight);
  const findings = [...new Set(Object.values(KINDS))].map((kind) => {
    const wrong = changes.filter(({ wanted }) => KINDS[wanted.kind] === kind).map(changeLine);
    const more = wrong.length > SHOWN ? `; ${wrong.length - SHOWN} more` : '';
    return wrong.length === 0
      ? ok(`install_${kind}`, `${kind} are as install makes them`)
      : fail(`install_${kind}`, `${wrong.slice(0, SHOWN).join('; ')}${more}`, INSTALL);
  });
  if (seen.length === whole.length) return findings;
  const hidden = `${whole.length - seen.length} things that install made cannot be seen by this user`;
  return [...findings, warn('install_hidden', hidden, 'run this as root')];
}

/**
 * Calls root as the agent does. What sudo allows besides is for people, and for an agent that no systemd
 * runs.
 */
async function rootSocket(): Promise<Finding> {
  const id = 'trampoline_socket';
  const path = ROOT_SOCKETS.agent;
  const ran = await callOverSocket({ path, words: ['service', 'status', UNITS.postgres], deadline: 5000 });
  if (ran?.code === 0) return ok(id, `calls as root are answered at ${path}`);
  const said = ran?.stderr.trim().split('\n').at(-1) || 'no answer in time';
  return fail(
    id,
    ran === undefined ? `calls as root are not accepted at ${path} from this user` : said,
    INSTALL,
  );
}

async function sudoCall(config: Config): Promise<Finding> {
  const call = ['sudo', '-n', trampolinePath(config), 'service', 'status', UNITS.postgres];
  const [program = '', ...args] =
    process.getuid?.() === 0 ? ['runuser', '-u', config.user, '--', ...call] : call;
  const ran = await run(program, args, { deadline: 5000, cwd: '/' }).catch(() => undefined);
  if (ran?.code === 0) return ok('trampoline', `${config.user} may call it, and it answers`);
  const said = ran?.stderr.trim().split('\n').at(-1) ?? 'it could not be called';
  return fail('trampoline', `${trampolinePath(config)}: ${said}`, INSTALL);
}

async function sudoers(): Promise<Finding[]> {
  if (process.getuid?.() !== 0) return [];
  const ran = await run('visudo', ['-c', '-q'], { deadline: 5000 }).catch(() => undefined);
  if (ran?.code === 0) return [ok('sudoers', 'visudo finds nothing wrong')];
  const said = `${ran?.stdout ?? ''}${ran?.stderr ?? ''}`.trim().split('\n')[0] ?? '';
  return [
    fail('sudoers', `visudo complains: ${said}`, "correct it with 'visudo': sudo refuses everything else"),
  ];
}

/** While clustered, nothing but the agent may start the database and the services. */
async function taken(config: Config): Promise<Finding[]> {
  let node: string | undefined;
  try {
    node = membership(config, realSight);
  } catch {
    return [];
  }
  if (node === undefined) return [];
  const { distributionUnits, managerUnits } = rootPolicyOf(config);
  const seen = await realSight.units([...distributionUnits, ...managerUnits]);
  const unmasked = distributionUnits.filter((name) => seen.get(name)?.loaded === true);
  const enabled = managerUnits.filter((name) => seen.get(name)?.enabled === true);
  const mend = `run '${trampolinePath(config)} units take' as root`;
  return [
    unmasked.length === 0
      ? ok('distribution_units', "the distribution's PostgreSQL units cannot start")
      : fail('distribution_units', `${unmasked.join(', ')} could start a second server on the data`, mend),
    enabled.length === 0
      ? ok('manager_units', "only the agent starts the manager's services")
      : fail('manager_units', `${enabled.join(', ')} would start at boot, active or not`, mend),
  ];
}

/** Whoever is the agent's user owns the cluster. */
function ownUser({ user, paths }: Config): Finding {
  const reasons = realSight.tenants(user, paths.executable);
  if (reasons.length === 0) return ok('user_own', `nothing but the agent uses ${user}`);
  const mend = "run 'agent install' as root: it gives the agent a user of its own, and moves what there is";
  return fail('user_own', `${user} is not the agent's alone: ${reasons.join('; ')}`, mend);
}

const RABBITMQ_ENV = '/etc/rabbitmq/rabbitmq-env.conf';

/**
 * Its files lie below its node's name, which is the host's unless it is set: another VM's would begin empty.
 */
function rabbitmq(config: Config): Finding[] {
  if (!config.services.some(({ unit }) => unit?.startsWith('rabbitmq'))) return [];
  let name: string | undefined;
  try {
    name = /^\s*(?:RABBITMQ_)?NODENAME=["']?([^\s"']+)/m.exec(realSight.read(RABBITMQ_ENV) ?? '')?.[1];
  } catch {
    return [warn('rabbitmq_name', `${RABBITMQ_ENV} cannot be read by this user`, 'run this as root')];
  }
  if (name !== undefined)
    return [ok('rabbitmq_name', `RabbitMQ is ${name} here; it must be so on every manager`)];
  const mend = `with RabbitMQ stopped, write NODENAME=rabbit@localhost to ${RABBITMQ_ENV} on every manager`;
  return [warn('rabbitmq_name', "RabbitMQ's node name is that of the host, and its data with it", mend)];
}

/** Everything about a VM. Empty with `driver: child`. */
export async function installed(config: Config, file: Config = config): Promise<Finding[]> {
  if (config.driver !== 'systemd') return [];
  if (realSight.look(config.paths.executable) === undefined)
    return [
      fail('installed', `there is no ${config.paths.executable}: this manager is not prepared`, INSTALL),
    ];
  const calls = [rootSocket(), sudoCall(config)];
  const parts = await Promise.all([plan(file), sudoers(), taken(config), ...calls]);
  return [...parts.flat(), ownUser(config), ...rabbitmq(config)];
}
