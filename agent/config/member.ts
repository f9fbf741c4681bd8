/**
 * What managers say of themselves and others write into firewall rules, pg_ident, connection strings and
 * settings of Consul and Syncthing. The same words hold in agent.yaml, at the door and for every record that
 * is read back from Consul.
 */
import * as v from 'valibot';
import { ipAddress, isOneMachines, text } from './fields.ts';

/** One manager's address: what would let in everybody, or nobody, is none. */
export const memberAddress = () =>
  v.pipe(ipAddress(), v.check(isOneMachines, 'must be the address of one manager, like 10.0.0.11'));

/** One line from outside, as long as anything that we write ourselves and no longer. */
export const shortText = () => v.pipe(text(), v.maxLength(255, 'must be at most 255 characters'));

export const versionText = () => v.pipe(text(), v.regex(/^[0-9A-Za-z.+-]{1,64}$/, 'must be a version'));

export const deviceId = () =>
  v.pipe(text(), v.regex(/^[A-Z0-9-]{1,80}$/, 'must be a device id of Syncthing'));

/** SHA-256. */
export const hash = () =>
  v.pipe(v.string('must be a text'), v.regex(/^[a-f0-9]{64}$/, 'must be a SHA-256 in hexadecimal'));

/** The common name in a node's certificates: NODE.HEX, new at each join. */
export const commonName = () =>
  v.pipe(
    v.string('must be a text'),
    v.regex(
      /^[a-z0-9](?:[a-z0-9_-]{0,48}[a-z0-9])?\.[a-f0-9]{12}$/i,
      'must be a node name, a dot and 12 hexadecimal digits',
    ),
  );

/** What of a node's name stands in its certificates' names: of a long one the beginning. */
export const nameInCertificates = (node: string): string => node.slice(0, 42).replace(/[_-]+$/, '');

/**
 * Is that a name in the certificates of this node? A long one's own stood whole, or without its beginning, in
 * those of before.
 */
export function isNameOf(node: string, certificate: string): boolean {
  const part = certificate.slice(0, certificate.lastIndexOf('.'));
  if (part === node || part === nameInCertificates(node)) return true;
  return part.length >= 42 && node.endsWith(part);
}

/** Which copy of the database: new for each. */
export const cloneId = () =>
  v.pipe(v.string('must be a text'), v.regex(/^[a-f0-9]{8}$/, 'must be 8 hexadecimal digits'));
