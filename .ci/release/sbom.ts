/**
 * What is in an executable: a CycloneDX 1.5 list of the packages and of the runtime, with the hashes of
 * package-lock.json. Pure.
 */
import { createHash } from 'node:crypto';
import { type Lock, type Locked, production, sha512Of } from './lock.ts';

export interface SbomOptions {
  readonly lock: Lock;
  readonly name: string;
  readonly version: string;
  readonly license: string;
  /** Package names of the runtimes that were built in. */
  readonly runtimes: readonly string[];
  /** ISO time of the commit; '' is left out. Equal sources, equal list. */
  readonly built: string;
}

const nameOf = (path: string): string =>
  path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);

const purl = (name: string, version: string): string => `pkg:npm/${name.replace('@', '%40')}@${version}`;

/** A single name of the SPDX list, or an expression of several. */
const licenses = (text: string) =>
  /^[A-Za-z0-9.+-]+$/.test(text) ? [{ license: { id: text } }] : [{ expression: text }];

function component(path: string, locked: Locked, kind: 'library' | 'platform') {
  const name = nameOf(path);
  if (locked.license === undefined) throw new Error(`package-lock.json has no licence of ${name}`);
  const [scope, rest] = name.startsWith('@') ? name.split('/') : [undefined, name];
  const ref = purl(name, locked.version);
  return {
    type: kind,
    'bom-ref': ref,
    ...(scope === undefined ? {} : { group: scope }),
    name: rest ?? name,
    version: locked.version,
    hashes: [{ alg: 'SHA-512', content: sha512Of(name, locked) }],
    licenses: licenses(locked.license),
    purl: ref,
  };
}

/** Throws when a package has no licence or no hash. */
export function sbom({ lock, name, version, license, runtimes, built }: SbomOptions): string {
  const needs = production(lock);
  const at = (path: string): Locked => {
    const locked = lock.packages[path];
    if (locked === undefined) throw new Error(`package-lock.json lacks ${path}`);
    return locked;
  };
  const own = purl(name, version);
  const refOf = (path: string) => (path === '' ? own : purl(nameOf(path), at(path).version));
  const engines = runtimes.map((runtime) => `node_modules/${runtime}`);
  const libraries = [...needs.keys()].filter((path) => path !== '');
  const components = [
    ...libraries.map((path) => component(path, at(path), 'library')),
    ...engines.map((path) => component(path, at(path), 'platform')),
  ].sort((a, b) => (a['bom-ref'] < b['bom-ref'] ? -1 : 1));
  const dependencies = [...needs]
    .map(([path, paths]) => ({
      ref: refOf(path),
      dependsOn: [...paths, ...(path === '' ? engines : [])].map(refOf).sort(),
    }))
    .concat(engines.map((path) => ({ ref: refOf(path), dependsOn: [] })))
    .sort((a, b) => (a.ref < b.ref ? -1 : 1));
  const content = {
    metadata: {
      ...(built === '' ? {} : { timestamp: built }),
      component: {
        type: 'application',
        'bom-ref': own,
        name,
        version,
        licenses: licenses(license),
        purl: own,
      },
    },
    components,
    dependencies,
  };
  return `${JSON.stringify({ bomFormat: 'CycloneDX', specVersion: '1.5', serialNumber: serial(content), version: 1, ...content }, null, 2)}\n`;
}

/** A UUID made of the content (version 8), so that the same list has the same number. */
function serial(content: unknown): string {
  const hex = createHash('sha256').update(JSON.stringify(content)).digest('hex');
  const variant = ((Number.parseInt(hex.slice(16, 17), 16) & 3) | 8).toString(16);
  return `urn:uuid:${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
