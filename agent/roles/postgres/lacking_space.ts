/**
 * A tablespace was made on the active, and its folder is not here: the standby ended at that record, while it started or when it had
 * accepted connections already, and does so again each time. Nobody could know the path before the statement.
 */
import type { Outcome } from '../../core/postgres.ts';
import { ENDED, type LogMarks, lackedSpace } from './complaint.ts';
import { DONE, failed, type Server } from './server.ts';
import { makeForReplay } from './tablespace_folders.ts';

/** Where the log was as the server was last started. */
const launches = new WeakMap<Server, LogMarks>();

export const noteLaunch = (server: Server, marks: LogMarks): void => {
  launches.set(server, marks);
};

/** What ended the former data's server is no matter any more. */
export const forgetLaunch = (server: Server): void => {
  launches.delete(server);
};

/** Makes what the last server lacked, where its user may; else says what to do. Null where that is not what ended it. */
export async function makeLacking(server: Server): Promise<Outcome | null> {
  const { o } = server;
  const marks = launches.get(server);
  const location = marks === undefined ? null : await lackedSpace(o, marks);
  if (location === null) return null;
  try {
    makeForReplay(o.dataDir, location);
    return DONE;
  } catch (thrown) {
    return failed(`${ENDED}: ${failed(thrown).why}`);
  }
}
