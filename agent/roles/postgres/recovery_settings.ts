/**
 * What a server in recovery goes by. All of it is the agent's: a target that somebody left behind ends a
 * standby's recovery and makes it a primary, and an archive that is slow, or gone, stands in the way of every
 * promotion, since the server asks it once more.
 */
export function recoverySettings(major: number | null): Record<string, string> {
  return {
    recovery_target: '',
    recovery_target_name: '',
    recovery_target_time: '',
    recovery_target_xid: '',
    recovery_target_lsn: '',
    recovery_target_inclusive: 'on',
    recovery_target_action: 'pause',
    recovery_target_timeline: 'latest',
    recovery_min_apply_delay: '0',
    // What a standby lacks comes by its slot, or by a new copy.
    restore_command: '',
    archive_cleanup_command: '',
    recovery_end_command: '',
    // 16 and later do not know it, and do not start with what they do not know.
    ...(major !== null && major < 16 ? { promote_trigger_file: '' } : {}),
  };
}
