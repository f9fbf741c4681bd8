/**
 * The trampoline over its sockets, attacked and used on a VM: units as install writes them, a real systemd
 * behind them.
 */
import { join } from 'node:path';
import { makeConfig } from '../../agent/config/index.ts';
import { ROOT_CALL_SOCKETS, UNIT_DIR } from '../../agent/install/names.ts';
import { rootCallUnits } from '../../agent/install/units/root_calls.ts';
import { ROOT_SOCKETS } from '../../agent/platform/paths.ts';
import { LONGEST } from '../../agent/trampoline/request.ts';
import { until } from './host.ts';
import type { Machine } from './machine.ts';
import { LOG, SUDO } from './trampoline.ts';

type Report = (name: string, problem: string | undefined) => void;

const CALLER = '/opt/call.py';
const CONSUL = 'cloudify-consul.service';
const POSTGRES = 'cloudify-postgresql.service';
const quoted = (word: string) => `'${word.replaceAll("'", "'\\''")}'`;

export class Sockets {
  readonly #node: Machine;
  readonly #report: Report;

  constructor(node: Machine, report: Report) {
    this.#node = node;
    this.#report = report;
  }

  async prepare(): Promise<void> {
    const node = this.#node;
    for (const [name, text] of rootCallUnits(makeConfig())) await node.writeFile(`${UNIT_DIR}/${name}`, text);
    await node.copyIn(join(import.meta.dirname, 'trampoline_call.py'), CALLER, '0644');
    await node.writeFile(
      '/etc/tmpfiles.d/cloudify.conf',
      'd /run/cloudify-root-agent 0750 root cfyuser -\nd /run/cloudify-root-postgres 0750 root postgres -\n',
    );
    await node.must(
      `systemd-tmpfiles --create /etc/tmpfiles.d/cloudify.conf; systemctl daemon-reload; systemctl -q enable --now ${ROOT_CALL_SOCKETS.join(' ')}`,
    );
  }

  /** What `user` hears, or what kept it from hearing. */
  async say(mode: string, words: readonly string[], user = 'cfyuser', path?: string): Promise<string> {
    const own = user === 'postgres' ? ROOT_SOCKETS.postgres : ROOT_SOCKETS.agent;
    const line = ['python3', CALLER, path ?? own, mode, ...words].map(quoted).join(' ');
    const { stdout, stderr } = await this.#node.exec(line, { user, timeout: 120_000 });
    return `${stdout}${stderr}`.trim();
  }

  /** As through sudo: exit code, and what was said. */
  async call(words: string): Promise<{ code: number; stdout: string; stderr: string }> {
    const heard = await this.say('call', words.split(' '));
    try {
      return JSON.parse(heard);
    } catch {
      return { code: -1, stdout: '', stderr: heard };
    }
  }

  #expect(name: string, seen: string, wanted: RegExp): void {
    this.#report(`socket: ${name}`, wanted.test(seen) ? undefined : seen.slice(0, 300));
  }

  async attacks(): Promise<void> {
    const { agent, postgres } = ROOT_SOCKETS;
    const stop = ['service', 'stop', CONSUL];
    const denied = /^PermissionError/;
    this.#expect('as another user', await this.say('call', stop, 'cfyuser_consul', agent), denied);
    this.#expect('as nobody', await this.say('call', stop, 'nobody', agent), denied);
    this.#expect('as postgres, the agent’s', await this.say('call', stop, 'postgres', agent), denied);
    this.#expect('as the agent, postgres’s', await this.say('call', stop, 'cfyuser', postgres), denied);
    const refused = /"code":2/;
    this.#expect('another unit', await this.say('call', ['service', 'stop', 'ssh.service']), refused);
    this.#expect('the agent’s own word for systemd', await this.say('call', ['answer', 'root']), refused);
    for (const words of [stop, ['service', 'restart', POSTGRES], ['units', 'give'], ['firewall', 'active']])
      this.#expect(`as postgres, ${words.join(' ')}`, await this.say('call', words, 'postgres'), refused);
    this.#expect('no JSON', await this.say('raw', ['service stop\n']), refused);
    this.#expect('too long', await this.say('raw', ['x'.repeat(LONGEST + 1)]), refused);
    this.#expect('two requests', await this.say('raw', ['{}\n{}\n']), refused);
    this.#expect('never finished', await this.say('raw', ['{"until":']), /no complete request came within/);
    this.#expect('too late', await this.say('late', stop), /"code":1.*too late/);
    const through = await this.#node.exec([...SUDO, 'answer', 'root'], { user: 'cfyuser' });
    this.#report('the socket’s word through sudo', through.code === 2 ? undefined : `exit ${through.code}`);
  }

  async carriedOut(): Promise<void> {
    const started = (await this.call('service start worker.service')).code;
    this.#report('socket: a start', started === 0 ? undefined : `code ${started}`);
    this.#expect(
      'a caller who dies in the middle of his request',
      await this.say('half', ['service', 'stop', 'worker.service']),
      /gone/,
    );
    await Bun.sleep(300);
    this.#expect('asks nothing', (await this.#node.exec('systemctl is-active worker')).stdout, /^active/);
    this.#expect(
      'a caller who dies after it',
      await this.say('dies', ['service', 'stop', 'worker.service']),
      /gone/,
    );
    const stopped = await until('the worker stops', 30_000, async () =>
      (await this.#node.exec('systemctl is-active worker')).code === 0 ? undefined : true,
    ).catch(() => false);
    this.#report('socket: is carried out all the same', stopped ? undefined : 'it was not');
    const own = await this.say('call', ['service', 'stop', POSTGRES], 'postgres');
    this.#expect('as postgres, its own unit', own, /"code":0/);
    const both = await Promise.all(
      ['cloudify-consul.service', 'worker.service'].map((unit) =>
        this.say('call', ['service', 'status', unit]),
      ),
    );
    this.#report(
      'socket: of two at once each hears its own',
      both[0]?.includes('Id=cloudify-consul.service') && both[1]?.includes('Id=worker.service')
        ? undefined
        : both.join('\n'),
    );
  }

  /** One user's flood is its own affair, and is over when it is over. */
  async flood(): Promise<void> {
    const flood = this.say('flood', []);
    await Bun.sleep(2000);
    const other = await this.say('call', ['service', 'stop', POSTGRES], 'postgres');
    const most = Number(
      await this.#node.must("systemctl list-units --no-legend --plain 'cloudify-root-agent@*' | wc -l"),
    );
    console.log(`a flood of ${await flood} connections: ${most} served at once`);
    this.#expect('postgres is answered during the agent’s flood', other, /"code":0/);
    this.#report('socket: no more are served at once than allowed', most <= 16 ? undefined : `${most}`);
    const again = await until('the flooded socket answers', 60_000, async () =>
      (await this.call(`service status ${CONSUL}`)).code === 0 ? true : undefined,
    ).catch((thrown) => String(thrown));
    this.#report('socket: it answers after the flood', again === true ? undefined : String(again));
    const failed = await this.#node.exec(
      "systemctl --no-legend --plain --failed list-units 'cloudify-root*'",
    );
    this.#report('socket: nothing is left failed', failed.stdout === '' ? undefined : failed.stdout);
  }

  /** ms, as seen by a caller; nothing is asserted of them. */
  async times(): Promise<void> {
    console.log(`a call over the socket, ms: ${await this.say('times', ['service', 'status', CONSUL])}`);
    const sudo = await this.#node.exec(
      `for i in $(seq 20); do a=$(date +%s%N); ${SUDO.join(' ')} service status ${CONSUL} >/dev/null; echo $((($(date +%s%N) - a) / 1000000)); done | sort -n | tr '\\n' ' '`,
      { user: 'cfyuser' },
    );
    console.log(`a call through sudo, ms: ${sudo.stdout}`);
  }

  /** A unit that stops while the machine goes down, as the agent does, and calls root then. */
  async atShutdown(): Promise<void> {
    const node = this.#node;
    const call = `/usr/bin/python3 ${CALLER} ${ROOT_SOCKETS.agent} call service stop worker.service`;
    await node.writeFile(
      `${UNIT_DIR}/last.service`,
      `[Unit]\nAfter=${ROOT_CALL_SOCKETS[0]} dbus.service\n[Service]\nType=oneshot\nRemainAfterExit=yes\nUser=cfyuser\nNoNewPrivileges=yes\nExecStart=/bin/true\nExecStop=/bin/sleep 1\nExecStop=/bin/sh -c '(systemctl is-system-running; ${call}) >/var/tmp/last 2>&1'\n`,
    );
    await node.must('systemctl daemon-reload; systemctl start last.service; rm -f /var/tmp/last');
    await node.shutDown();
    await node.off();
    await node.boot();
    this.#expect(
      'it answers while the machine goes down',
      (await node.exec('cat /var/tmp/last')).stdout,
      /^stopping\n\{"code":0/,
    );
    this.#expect(
      'and after a boot, by its own',
      await this.say('call', ['service', 'status', CONSUL]),
      /"code":0/,
    );
    const lines = (await node.readFile(LOG)).split('\n').filter((line) => line.includes('"stop","worker'));
    this.#report(
      'socket: the call at the shutdown is in the log',
      lines.length > 1 ? undefined : lines.join(),
    );
  }
}
