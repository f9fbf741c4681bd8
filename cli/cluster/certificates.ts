import type { AuthorityStatus } from '../../agent/api/types.ts';
import { AgentError, usageError } from '../../agent/errors.ts';
import type { AgentClient } from '../../agent/http/client_api.ts';
import { command, durationOption } from '../common/command.ts';
import { table } from '../common/table.ts';
import { authorityText, beginAuthority, waitForAuthority } from './authority.ts';

const rows = (items: readonly { what: string; notAfter: string }[]) =>
  items.length === 0
    ? 'this manager has no certificates: it is in no cluster, or in one without TLS'
    : table(
        [
          { title: 'certificate', value: ({ what }) => what },
          { title: 'ends', value: ({ notAfter }) => notAfter },
        ],
        items,
      );

/** The ends are in this node's files, and known also while Consul is silent. */
async function authorityOf(
  client: AgentClient,
): Promise<{ authority: AuthorityStatus | null; error?: string }> {
  try {
    return { authority: await client.authorityStatus() };
  } catch (thrown) {
    if (!(thrown instanceof AgentError)) throw thrown;
    return { authority: null, error: thrown.message };
  }
}

export default command({
  name: 'certificates',
  description:
    "when certificates expire, and who trusts which root; renew them, or the cluster's authority, without a role change",
  examples: [
    'agent cluster certificates',
    'agent cluster certificates --renew',
    'agent cluster certificates --renew-ca',
    'agent cluster certificates --renew-ca --hold',
  ],
  args: {
    renew: { type: 'boolean', description: "renew this manager's certificates now" },
    'renew-ca': {
      type: 'boolean',
      description:
        'create a new authority for the cluster and new certificates everywhere, or continue with that',
    },
    hold: {
      type: 'boolean',
      description: 'with --renew-ca: stay where every node trusts the old root and the new one',
    },
    timeout: { type: 'string', valueHint: 'SECONDS', default: '300', description: 'how long to wait for it' },
  },
  async run({ agent, args, print, terminal }) {
    if (args.hold === true && args['renew-ca'] !== true)
      throw usageError('--hold is only for --renew-ca', 'agent cluster certificates --renew-ca --hold');
    if (args.renew === true && args['renew-ca'] === true)
      throw usageError(
        '--renew and --renew-ca cannot be used together',
        "--renew-ca renews this manager's certificates as well",
      );
    const timeout = await durationOption('timeout', args.timeout);
    const client = await agent();
    if (args['renew-ca'] === true) {
      const begun = await beginAuthority(client, args.hold === true, timeout, terminal);
      const authority = await waitForAuthority(client, begun, timeout, terminal);
      return print({ authority }, () => authorityText(authority));
    }
    if (args.renew !== true) {
      const items = await client.certificates();
      const { authority, error } = await authorityOf(client);
      const more =
        error === undefined
          ? authority === null
            ? ''
            : `\n${authorityText(authority)}`
          : `\nauthority: ${error}`;
      return print(
        { items, authority, ...(error === undefined ? {} : { error }) },
        () => `${rows(items)}${more}`,
      );
    }
    const renewed = await client.renewCertificates();
    print(renewed, () => rows(renewed.items));
    if (renewed.failed.length === 0) return;
    throw new AgentError({
      class: 'transient',
      code: 'renewed_in_part',
      message: `renewed, but not yet used by ${renewed.failed.join('; ')}`,
      hint: 'run the command again; the old certificates are valid until they expire',
    });
  },
});
