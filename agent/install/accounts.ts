/** /etc/passwd and /etc/group as data. */

export interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

export interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

const lines = (text: string): string[][] =>
  text
    .split('\n')
    .filter((line) => /^[^#+-]/.test(line))
    .map((line) => line.split(':'));

export const parsePasswd = (text: string): User[] =>
  lines(text).map(([name = '', , uid, gid, , home = '/']) => ({
    name,
    uid: Number(uid),
    gid: Number(gid),
    home,
  }));

export const parseGroup = (text: string): Group[] =>
  lines(text).map(([name = '', , gid, members = '']) => ({
    name,
    gid: Number(gid),
    members: members.split(',').filter(Boolean),
  }));
