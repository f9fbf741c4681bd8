/** `npm run rules`: writes docs/rules.md from the rules themselves. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { rules } from '../../agent/core/decide.ts';
import { rulesDocument } from './diagram.ts';

const docs = new URL('../../docs/', import.meta.url);
mkdirSync(docs, { recursive: true });
writeFileSync(new URL('rules.md', docs), rulesDocument(rules));
