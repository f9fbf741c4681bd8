import { readFileSync } from 'node:fs';

/**
 * Where something is mounted, as this process sees it: real paths. A bind mount of the same filesystem is
 * there, too.
 */
export function mountPoints(): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .flatMap((line) => {
      const path = line.split(' ')[4];
      return path === undefined
        ? []
        : [path.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)))];
    });
}
