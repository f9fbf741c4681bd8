/**
 * The text of a join token, as it is shown once and given to the joiner: `ID.SECRET.FINGERPRINT` (tokens.ts).
 */
import { Buffer } from 'node:buffer';
import { AgentError } from '../errors.ts';

export interface ParsedToken {
  readonly id: string;
  readonly secret: string;
  /** SHA-256 of the authority's certificate, hexadecimal. */
  readonly fingerprint: string;
}

const FORM = /^([a-f0-9]{8})\.([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{43})$/;

/** Throws operator `token_invalid` for what cannot be a token. */
export function parseToken(text: string): ParsedToken {
  const [, id, secret, fingerprint] = FORM.exec(text.trim()) ?? [];
  if (id === undefined || secret === undefined || fingerprint === undefined)
    throw new AgentError({
      class: 'operator',
      code: 'token_invalid',
      message: 'this is not a join token: it is cut off or altered',
      hint: 'copy it whole',
    });
  return { id, secret, fingerprint: Buffer.from(fingerprint, 'base64url').toString('hex') };
}
