/**
 * Asks one Consul server with a token, on any runtime: `asks.ts URL CA_FILE TOKEN`. Prints what became of a
 * read and a write.
 */
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { createConsulClient } from '../../agent/consul/client.ts';

const [url = '', ca = '', token = ''] = process.argv.slice(2);
const tls = { ca: readFileSync(ca, 'utf8') };
const { kv } = createConsulClient({ servers: [url], tls: () => tls, token, deadlineMs: 5000 });
const kinds = [(await kv.get('k')).kind, (await kv.put('k', '1')).kind];
process.stdout.write(`${kinds.join()}\n`);
