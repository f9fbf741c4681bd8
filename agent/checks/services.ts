/** Do the services that belong to this role run? */
import { type Check, type CheckResult, fail, pass, type Readers, skip, warn } from './port.ts';

/** The failure of a service in `optional` is only a warning. */
export function services(readers: Pick<Readers, 'role' | 'services'>, optional: readonly string[]): Check {
  return {
    name: 'services',
    ofRole: true,
    async run(): Promise<CheckResult> {
      const role = readers.role();
      if (role === 'none') return skip('neither active nor standby');
      const seen = readers.services();
      if (seen === 'changing') return skip('services are being started or stopped');
      if (seen === null) throw new Error('the state of the services is not known');
      // Those of the active alone are not expected on a standby.
      const down = [...seen.missingAlways, ...(role === 'active' ? seen.missing : [])];
      if (down.length === 0) return pass('all services run');
      const text = `not running: ${down.join(', ')}`;
      return down.every((name) => optional.includes(name)) ? warn(text) : fail(text);
    },
  };
}
