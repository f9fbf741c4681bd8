/** The agent's own durable memory, in its state folder. */
export type Durable = {
  /** Changes before the first byte of a basebackup or rewind is written (PROTOCOL D). */
  clone: string;
  clusterId: string | null;
  incarnation: number;
  /**
   * The last vote: cut from everything but a higher epoch, or the same holder once its index has moved
   * (PROTOCOL D.1).
   */
  vote: { index: number; epoch: number; holder: string } | null;
  /** A rewind or basebackup that was begun and has not ended: the data directory cannot be trusted. */
  rebuilding: 'rewind' | 'reclone' | null;
  /** The operator wants this database copied again, and it was not yet. */
  wants?: 'reclone' | undefined;
};
