/** What start and join have of the agent around them: its core, and what it keeps on its disk. */
import type { Config } from '../config/index.ts';
import type { Member } from '../node/member.ts';
import type { Parts } from '../node/parts.ts';
import { joiningStore, type Membership, membershipStore } from '../state/identity.ts';

/** Turned on by who enters a cluster, and off by a join that is undone. The daemon has it. */
export interface OwnCore {
  /** Makes the membership durable, and the clone id of a new copy; then runs the core on them. */
  run(parts: Parts, membership: Membership, clone?: string): Promise<void>;
  /** Ends it; the parts stay usable. May be repeated. */
  end(): Promise<void>;
  /** null: it does not run. */
  readonly member: Member | null;
  /** The active has entered this node: made durable. */
  entered(): void;
}

export type Kept = ReturnType<typeof keptOf>;

export const keptOf = (config: Config) => ({
  memberships: membershipStore(config),
  joining: joiningStore(config),
});
