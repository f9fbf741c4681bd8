/**
 * Who writes what one agent remembers (agent/core/node.ts): each part and each value, and the files of
 * agent/core that own it. All others read. What is to be known of a field (what it says, when it is cleared)
 * stands beside it, in the file of its part.
 */
export const owners: Record<string, readonly string[]> = {
  // Parts, each written by the functions beside its type.
  holding: ['memory/holding.ts'],
  candidacy: ['memory/candidacy.ts'],
  fence: ['memory/fence.ts'],
  db: ['memory/database.ts'],
  copy: ['memory/copy.ts'],
  services: ['memory/services.ts'],
  files: ['memory/files.ts'],
  hooks: ['memory/hooks.ts'],
  failures: ['memory/failures.ts'],
  main: ['memory/main.ts'],
  // Values that are replaced as a whole, by who takes Consul's word in.
  view: ['lease.ts'],
  viewAt: ['lease.ts'],
  lease: ['lease.ts', 'procedures/failsafe.ts'],
  policy: ['lease_times.ts', 'sync_mode.ts'],
  timesNote: ['lease_times.ts'],
  modeKnown: ['sync_mode.ts'],
};

/**
 * Which parts a procedure, or another file, may tell that something happened: it calls functions of their
 * owners. Whoever adds an arrow says so here.
 */
export const tellers: Record<string, readonly string[]> = {
  'act.ts': ['copy', 'failures', 'main', 'services'],
  'gather.ts': ['copy', 'db', 'failures', 'fence', 'files', 'hooks', 'main', 'services'],
  'lease.ts': ['holding'],
  'processes.ts': ['failures', 'holding', 'main'],
  'procedures/extend.ts': ['fence'],
  'procedures/failsafe.ts': ['holding'],
  'procedures/fence_down.ts': ['candidacy', 'fence', 'hooks'],
  'procedures/files.ts': ['files'],
  'procedures/handover.ts': ['candidacy', 'db', 'fence', 'holding', 'hooks', 'main'],
  'procedures/hooks.ts': ['hooks'],
  'procedures/promote.ts': ['candidacy', 'db', 'failures', 'fence', 'hooks', 'services'],
  'procedures/rejoin.ts': ['copy'],
  'procedures/slots.ts': ['db'],
  'procedures/sync.ts': ['db'],
  'procedures/take.ts': ['candidacy', 'copy', 'fence', 'holding'],
  'procedures/task.ts': ['copy', 'services'],
  'procedures/vote.ts': ['candidacy', 'copy', 'db', 'hooks'],
  // Outside the core: the operator's wish, and the machine that shuts down.
  '../daemon/peer_api.ts': ['copy'],
  '../node/member.ts': ['main'],
};
