/** A root that writes down what it is asked to do. */
import { makeConfig } from '../../agent/config/index.ts';
import { Refusal } from '../../agent/trampoline/command.ts';
import { POLICY_FILE } from '../../agent/trampoline/names.ts';
import { type RootPolicy, rootPolicyOf } from '../../agent/trampoline/policy.ts';
import type { Ran, Root } from '../../agent/trampoline/root.ts';

export const config = makeConfig({
  services: [
    { name: 'rabbitmq', unit: 'rabbitmq-server.service' },
    { name: 'mgmtworker', unit: 'cloudify-mgmtworker.service' },
  ],
});
export const policy: RootPolicy = rootPolicyOf(config);

export interface FakeRoot extends Root {
  /** `program word word`, in order. */
  readonly ran: string[];
  readonly inputs: string[];
  readonly logged: Readonly<Record<string, unknown>>[];
  readonly said: string[];
  note: string | undefined;
}

interface FakeOptions {
  readonly uid?: number;
  readonly user?: string | undefined;
  readonly files?: Readonly<Record<string, string>>;
  readonly answer?: (call: string) => Partial<Ran>;
}

export function fakeRoot({ uid = 0, files = {}, answer = () => ({}), ...rest }: FakeOptions = {}): FakeRoot {
  const user = 'user' in rest ? rest.user : 'cfyuser';
  const all: Readonly<Record<string, string>> = { [POLICY_FILE]: JSON.stringify(policy), ...files };
  const fake: FakeRoot = {
    uid,
    env: { SUDO_USER: user },
    ipv6: true,
    ran: [],
    inputs: [],
    logged: [],
    said: [],
    note: undefined,
    read(path) {
      const text = all[path];
      if (text === undefined) throw new Refusal(`${path} cannot be read`);
      return text;
    },
    run(program, args, options) {
      const call = [program, ...args].join(' ');
      fake.ran.push(call);
      if (options?.input !== undefined) fake.inputs.push(options.input);
      return { code: 0, stdout: '', stderr: '', ...answer(call) };
    },
    kept: {
      read: () => fake.note,
      write: (text) => {
        fake.note = text;
      },
      remove: () => {
        fake.note = undefined;
      },
    },
    log: (entry) => void fake.logged.push(entry),
    say: (text) => void fake.said.push(text),
    complain: (text) => void fake.said.push(text),
  };
  return fake;
}
