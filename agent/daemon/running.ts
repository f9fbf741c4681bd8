/** A membership that runs: the member itself, and what goes with it for as long as it runs. */
import type { Checks } from '../checks/create.ts';
import type { CheckSummary } from '../core/ports.ts';
import type { Log } from '../log/log.ts';
import { createMembers, type Members } from '../membership/members.ts';
import { every, SWEEP } from '../membership/reservation.ts';
import { checksOf } from '../node/checks.ts';
import { createMember, type Member } from '../node/member.ts';
import type { Parts } from '../node/parts.ts';
import type { ServiceDriver } from '../roles/services/driver.ts';
import type { Membership } from '../state/identity.ts';
import { type SettingsWatch, watchSettings } from './server_settings.ts';

export interface Running {
  readonly member: Member;
  /** The active's side of membership. */
  readonly members: Members;
  readonly settings: SettingsWatch;
  /** Ends it; the parts stay usable. */
  close(): Promise<void>;
}

export type RunningParts = {
  readonly parts: Parts;
  readonly membership: Membership;
  readonly driver: ServiceDriver;
  readonly log: Log;
  /** Where Consul's servers are now, for the next start of this agent. */
  readonly remember: (hosts: readonly string[]) => void;
  readonly whenRemoved: () => void;
};

/** Begins to run the core. What it stands on is durable before. */
export function run({ parts, membership, driver, log, remember, whenRemoved }: RunningParts): Running {
  let summary = () => ({ failing: [], weak: [], all: {} }) as CheckSummary;
  const member = createMember({
    config: parts.config,
    membership,
    log,
    parts,
    remember,
    whenRemoved,
    checks: () => summary(),
    progress: (step) => log.for('postgres').debug(step.what, step.bytes ?? ''),
  });
  const members = createMembers(member, parts, membership);
  const settings = watchSettings(parts.pg, log.for('postgres'));
  const sweeper = every(SWEEP, () => members.sweep(), log.for('agent'));
  const checks = checksOf(parts.config, member, parts.files, log.for('check-runner'));
  summary = checks.summary;
  follow(member, checks, driver);
  return {
    member,
    members,
    settings,
    async close() {
      sweeper.abort();
      settings.stop();
      checks.stop();
      await member.close();
    },
  };
}

/** Checks wake the loop, a changed role asks the checks anew, and a process that ended does both. */
function follow(member: Member, checks: Checks, driver: ServiceDriver): void {
  checks.onChange(() => member.node.wake());
  let role = '';
  member.onDecision((_, facts) => {
    const now = `${facts.lease.state} ${facts.pg.role} ${facts.fence}`;
    if (now !== role) checks.roleChanged();
    role = now;
  });
  checks.start();
  driver.onExit((exit) => {
    member.node.wake();
    if (exit.name !== 'postgres') checks.poke('services');
  });
}

/** Copies, rewinds and services take as long as they take, inside one round of the loop. */
const LONG_ACTIONS: readonly (string | null)[] = ['rebuild', 'services_up', 'services_down', 'repair'];
const ROUND = 60_000;

/** Does the main loop go round? */
export const goesRound = ({ node }: Member): boolean =>
  LONG_ACTIONS.includes(node.main.acting) || node.now() - node.main.tickAt < ROUND;
