/** package-lock.json, version 3, as far as a release needs it: what was reviewed and is pinned. */
import { Buffer } from 'node:buffer';

export interface Locked {
  readonly version: string;
  /** `sha512-BASE64` of the package's archive. */
  readonly integrity?: string;
  readonly license?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

export interface Lock {
  /** By path: '' is the project, then `node_modules/NAME`, nested where versions differ. */
  readonly packages: Readonly<Record<string, Locked>>;
}

/** Hexadecimal SHA-512 of the archive. Throws when it is not pinned by one. */
export function sha512Of(path: string, { integrity = '' }: Locked): string {
  const base64 = /^sha512-([A-Za-z0-9+/]{86}==)$/.exec(integrity)?.[1];
  if (base64 === undefined) throw new Error(`package-lock.json has no SHA-512 of ${path}`);
  return Buffer.from(base64, 'base64').toString('hex');
}

/** Where `name` is found from the package at `from`, as Node looks it up. Throws when the lock lacks it. */
export function resolve({ packages }: Lock, from: string, name: string): string {
  for (let at = from; ; ) {
    const path = at === '' ? `node_modules/${name}` : `${at}/node_modules/${name}`;
    if (packages[path] !== undefined) return path;
    if (at === '') throw new Error(`package-lock.json lacks ${name}, which ${from || 'the project'} needs`);
    const parent = at.lastIndexOf('/node_modules/');
    at = parent < 0 ? '' : at.slice(0, parent);
  }
}

/**
 * What ends up in the executable: everything that the project needs at run time, and what that needs. Paths,
 * each with its needs.
 */
export function production(lock: Lock): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const left = [''];
  for (let path = left.pop(); path !== undefined; path = left.pop()) {
    if (found.has(path)) continue;
    const from = path;
    const needs = Object.keys(lock.packages[from]?.dependencies ?? {}).map((name) =>
      resolve(lock, from, name),
    );
    found.set(from, needs);
    left.push(...needs);
  }
  return found;
}
