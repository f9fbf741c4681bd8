import { AgentError } from '../../agent/errors.ts';
import { command } from '../command.ts';
import { table } from '../table.ts';

export default command({
  name: 'certificates',
  description: "when this manager's certificates end; renew them, without a restart or a role change",
  examples: ['agent cluster certificates', 'agent cluster certificates --renew'],
  args: { renew: { type: 'boolean', description: 'make new ones now' } },
  async run({ agent, args, print }) {
    const client = await agent();
    const text = (items: readonly { what: string; notAfter: string }[]) =>
      items.length === 0
        ? 'this manager has no certificates: it is in no cluster, or in one without TLS'
        : table(
            [
              { title: 'certificate', value: ({ what }) => what },
              { title: 'ends', value: ({ notAfter }) => notAfter },
            ],
            items,
          );
    if (args.renew !== true) {
      const items = await client.certificates();
      return print({ items }, () => text(items));
    }
    const renewed = await client.renewCertificates();
    print(renewed, () => text(renewed.items));
    if (renewed.failed.length === 0) return;
    throw new AgentError({
      class: 'transient',
      code: 'renewed_in_part',
      message: `renewed, but not yet used by ${renewed.failed.join('; ')}`,
      hint: 'run the command again; the old certificates are good until they end',
    });
  },
});
