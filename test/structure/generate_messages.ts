/** `npm run messages`: writes docs/messages.md. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './files.ts';
import { messagesPage } from './messages.ts';

writeFileSync(join(root, 'docs', 'messages.md'), messagesPage());
