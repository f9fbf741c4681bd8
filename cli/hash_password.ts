import { readFileSync } from 'node:fs';
import { usageError } from '../agent/errors.ts';
import { hashPassword, newBearer } from '../agent/platform/password.ts';
import { command } from './common/command.ts';

export default command({
  name: 'hash-password',
  description: "make the password_hash for a user under 'api.users' from a password on standard input",
  examples: [
    "systemd-ask-password 'Password:' | agent hash-password",
    'agent hash-password --token    # a bearer token and its token_hash',
  ],
  args: {
    token: { type: 'boolean', description: "make a random bearer token instead, for 'api.tokens'" },
  },
  async run({ args, print }) {
    if (args.token === true) {
      const { token, hash } = newBearer();
      print({ token, token_hash: hash }, () => `token       ${token}\ntoken_hash  ${hash}`);
      return;
    }
    // Never from an argument: those are seen by every user of the machine.
    const password = readFileSync(0, 'utf8').replace(/\r?\n$/, '');
    if (password.length < 8)
      throw usageError('a password of 8 characters or more is needed on standard input');
    const hash = await hashPassword(password);
    print({ password_hash: hash }, () => hash);
  },
});
