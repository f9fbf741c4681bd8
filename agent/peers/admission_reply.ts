/**
 * The answer to an admission, before it is written into the settings of Consul, PostgreSQL and the firewall
 * here.
 */
import * as v from 'valibot';
import type { Admission } from '../api/types.ts';
import { integer, nodeName, port } from '../config/fields.ts';
import { memberAddress, shortText } from '../config/member.ts';
import { nodeRecord } from '../consul/records.ts';
import { AgentError } from '../errors.ts';

const answer = v.looseObject({
  clusterId: shortText(),
  incarnation: integer(0, Number.MAX_SAFE_INTEGER),
  systemId: shortText(),
  secret: shortText(),
  consulServers: v.array(v.string()),
  gossipKey: v.nullable(shortText()),
  active: v.looseObject({ node: nodeName(), hostIp: memberAddress(), postgresPort: port() }),
  postgresMajor: v.optional(integer(1, 1000)),
  locales: v.optional(v.pipe(v.array(shortText()), v.maxLength(1000))),
  members: v.record(v.string(), v.unknown()),
});
const address = memberAddress();
const name = nodeName();

/**
 * The addresses and members of it that are some: of a member whose record the active cannot read, it knows
 * nothing but the name. Throws fatal `bad_admission`.
 */
export function checkedAdmission(reply: unknown): Admission {
  const checked = v.safeParse(answer, reply);
  if (!checked.success) {
    const [issue] = checked.issues;
    throw new AgentError({
      class: 'fatal',
      code: 'bad_admission',
      message: `the active sent a reply that no agent would send: ${v.getDotPath(issue) ?? 'it'} ${issue.message}`,
      hint: 'install the same version of the agent on both',
    });
  }
  const { consulServers, members } = checked.output;
  return {
    ...(checked.output as unknown as Admission),
    consulServers: consulServers.filter((server) => v.is(address, server)),
    members: Object.fromEntries(
      Object.entries(members).filter(([node, record]) => v.is(name, node) && v.is(nodeRecord, record)),
    ) as Admission['members'],
  };
}
