/** A change in words for when it has been made: what was done, where `what` says what is wrong. */
import { type Change, octal } from './diff.ts';

export function doneLine({ subject, what, wanted }: Change): string {
  const is = (begin: string) => what.startsWith(begin);
  switch (wanted.kind) {
    case 'group':
    case 'user':
      return `created ${subject}`;
    case 'member':
      return `added ${subject} to group ${wanted.group}`;
    case 'link':
      return `made ${subject} a link to ${wanted.target}`;
    case 'executable':
      if (is('is to be copied')) return `copied ${wanted.source} to ${subject}`;
      if (is('is to be replaced')) return `replaced ${subject} by ${wanted.source}`;
      return `gave ${subject} to root:root, mode 0755`;
    case 'folder':
    case 'file': {
      const given = `to ${wanted.owner}:${wanted.group}, mode ${octal(wanted.mode)}`;
      if (is('is to be created')) return `created ${subject}`;
      if (is('is to be written')) return `wrote ${subject}`;
      if (is('belongs to') || is('has mode')) return `gave ${subject} ${given}`;
      return `wrote ${subject} anew`;
    }
    case 'move':
      return `moved what other users had: ${wanted.users.map(([from, to]) => `${from}'s to ${to}`).join(', ')}`;
    case 'unit':
      return what.replace(/^is to be (\w+)/, `$1 ${subject}`).replace('it runs', 'it ran');
  }
}
