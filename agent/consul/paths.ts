/**
 * Paths of Consul's HTTP API. One that leads out of where it was put (`..`, which a client resolves before it
 * sends) would ask for something else with this node's token: every path passes here, and none of those is
 * sent.
 */
import { AgentError } from '../errors.ts';

const refuse = (): AgentError =>
  new AgentError({
    class: 'fatal',
    code: 'bad_consul_path',
    message: 'a name does not fit into a path of Consul',
  });

/** Also as a client would read it: `%2e` is a dot. */
function isDots(segment: string): boolean {
  return /^(?:\.|%2e){1,2}$/i.test(segment);
}

/**
 * A key as part of a path, each segment encoded. A prefix may end with a slash. Throws fatal
 * `bad_consul_path`.
 */
export function keyPath(key: string): string {
  const segments = key.split('/');
  const inner = segments.at(-1) === '' ? segments.slice(0, -1) : segments;
  if (inner.length === 0 || inner.some((segment) => segment === '' || isDots(segment))) throw refuse();
  return segments.map(encodeURIComponent).join('/');
}

/**
 * Throws fatal `bad_consul_path` unless `path` is one of the API, and is sent as it stands. No slash hides in
 * a segment.
 */
export function checkPath(path: string): void {
  const [place = ''] = path.split('?', 1);
  const segments = place.split('/');
  const inner = segments.at(-1) === '' ? segments.slice(1, -1) : segments.slice(1);
  const wrong = inner.some(
    (segment) => segment === '' || isDots(segment) || /[\\#\s]|%2f|%5c/i.test(segment),
  );
  if (wrong || inner[0] !== 'v1' || new URL(path, 'http://consul.invalid').pathname !== place) throw refuse();
}
