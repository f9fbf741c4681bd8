/** The refusal of what only the active does. */
import { AgentError } from '../errors.ts';

/** Says where the active is, so that a joining manager can be sent on. */
export class NotActiveError extends AgentError {
  readonly active: { node: string; host: string; port: number } | null;
  constructor(active: { node: string; host: string; port: number } | null) {
    super({
      class: 'operator',
      code: 'not_cluster_master',
      message: 'this node is not the active',
      hint:
        active === null
          ? "no node is active right now: 'agent cluster status' says why"
          : `ask ${active.node} (${active.host})`,
    });
    this.active = active;
  }
  override toJSON() {
    return { ...super.toJSON(), ...(this.active === null ? {} : { active: this.active }) };
  }
}
