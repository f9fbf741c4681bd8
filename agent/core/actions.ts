/**
 * What a decision can ask for. Each is idempotent and seeks a state: carried out twice, it does nothing the
 * second time.
 */
export type Action =
  | { do: 'fence_down'; why: string }
  | { do: 'start_standby' }
  | { do: 'stop_database' }
  | { do: 'found' }
  | { do: 'accept' }
  | { do: 'promote' }
  | { do: 'finish_promotion' }
  | { do: 'start_in_place' }
  | { do: 'reopen' }
  | { do: 'handover'; to: string; reason: string; why: HandoverKind }
  | { do: 'release'; reason: string }
  | { do: 'refuse_request'; why: string }
  | { do: 'follow' }
  | { do: 'cut' }
  | { do: 'ensure_slots' }
  | { do: 'want'; what: 'nothing' | 'rewind' | 'reclone' }
  | { do: 'rebuild'; how: 'rewind' | 'reclone' }
  | { do: 'cancel_task' }
  | { do: 'ask_votes' }
  | { do: 'acquire'; reason: string }
  | { do: 'services_up' }
  | { do: 'services_down' }
  | { do: 'repair'; names: string[] }
  | { do: 'carry_list' }
  | { do: 'files_lead' }
  | { do: 'files_follow' }
  | { do: 'sync_step' };

/**
 * Asked for: files must be complete, or it is off. Forced by a failure, or by a machine that goes down: they
 * are waited for a little.
 */
export type HandoverKind = 'requested' | 'failing' | 'shutdown';

/** What came of one. `why`: for people, and for the log. */
export type Result = { ok: true } | { ok: false; why: string };
