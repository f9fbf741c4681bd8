/**
 * Syncthing's device id: the SHA-256 of the certificate in base32, with check digits, in groups of seven.
 * Pure.
 */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { AgentError } from '../../errors.ts';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
export const DEVICE_ID = /^([A-Z2-7]{7}-){7}[A-Z2-7]{7}$/;

function base32(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xffff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET[(value >> bits) & 31];
    }
  }
  return bits > 0 ? text + ALPHABET[(value << (5 - bits)) & 31] : text;
}

/** Luhn's mod 32, the way Syncthing counts it (from the left). */
function checkDigit(text: string): string {
  let factor = 1;
  let sum = 0;
  for (const char of text) {
    const added = factor * ALPHABET.indexOf(char);
    factor = factor === 2 ? 1 : 2;
    sum += Math.floor(added / 32) + (added % 32);
  }
  return ALPHABET[(32 - (sum % 32)) % 32] ?? '';
}

export function deviceIdOf(pem: string): string {
  const body = /-----BEGIN CERTIFICATE-----([\s\S]+?)-----END CERTIFICATE-----/.exec(pem)?.[1];
  if (body === undefined) {
    throw new AgentError({
      class: 'operator',
      code: 'syncthing_certificate',
      message: "Syncthing's cert.pem holds no certificate",
      hint: 'move its home folder away; the node then gets a new identity and has to join again',
    });
  }
  const digest = createHash('sha256').update(Buffer.from(body, 'base64')).digest();
  const parts = base32(digest).match(/.{13}/g) ?? [];
  const digits = parts.map((part) => part + checkDigit(part)).join('');
  return (digits.match(/.{7}/g) ?? []).join('-');
}
