/** What a manager that joins asks with, and what the active answers. */
import type { NodeRecord } from '../core/records.ts';
import type { MemberSecrets, SecurityAdmission, SecurityRequest } from '../security/admission.ts';

export type AdmitRequest = {
  nodeName: string;
  hostIp: string;
  publicIp: string | null;
  apiPort: number;
  postgresPort: number;
  version: string;
  priority: number;
  nofailover: boolean;
  /** Syncthing's, where files are replicated. */
  deviceId?: string | undefined;
  security?: SecurityRequest | undefined;
  /** The lease times of its file, ms: for agents that go by those. */
  lease: { retryPeriod: number; renewDeadline: number; leaseDuration: number };
};
export type Enrolled = { security?: MemberSecrets | undefined };
export type Admission = {
  clusterId: string;
  incarnation: number;
  systemId: string;
  secret: string;
  consulServers: string[];
  gossipKey: string | null;
  security?: SecurityAdmission | undefined;
  active: { node: string; hostIp: string; postgresPort: number };
  /** Of the cluster's data; agents of before this field do not say it. */
  postgresMajor?: number | undefined;
  /** What its databases are sorted by. */
  locales?: string[] | undefined;
  members: Record<string, NodeRecord>;
};
