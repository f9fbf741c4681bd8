/** One VM with the firewall installed, a client's services on it, and ways to look in. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import type { Readable } from 'node:stream';
import { buildAgent, installAgent } from '../binary.ts';
import { run } from '../host.ts';
import type { Lab } from '../lab.ts';
import type { Machine } from '../machine.ts';

export const PORT = 443;
export const DATABASE_PORT = 5432;
const PLACE = '/opt/lab';
const here = import.meta.dirname;

/** Somebody else's rules, some of which would let clients by if they came first. */
const FOREIGN = `
ipset create theirs hash:ip; ipset add theirs 192.0.2.1
for t in iptables ip6tables; do
  $t -N THEIRS; $t -A THEIRS -p tcp --dport ${PORT} -j ACCEPT
  $t -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
  $t -A INPUT -j THEIRS; $t -A OUTPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT; $t -t nat -A OUTPUT -p udp --dport 9 -j ACCEPT
done`;

const OURS = /CLOUDIFY|cloudify/;

export class Bench {
  readonly vm: Machine;
  readonly lab: Lab;

  constructor(lab: Lab) {
    this.lab = lab;
    this.vm = lab.node('n1');
  }

  async prepare(): Promise<void> {
    const { vm, lab } = this;
    for (const file of ['echo.py', 'ask.py', 'holder.py'])
      await vm.copyIn(join(here, file), `${PLACE}/${file}`, '0644');
    await vm.must(FOREIGN);
    await vm.must(`systemd-run -q --unit=lab-echo python3 ${PLACE}/echo.py ${PORT} ${DATABASE_PORT}`);
    const binary = await buildAgent(lab);
    await installAgent(vm, binary, 'log: { level: info }\n');
    // The database's port is the echo's here; the lease helper ends whatever that unit runs.
    await vm.writeFile(
      '/etc/systemd/system/cloudify-postgresql.service',
      `[Service]\nUser=postgres\nExecStart=/bin/sleep infinity\n`,
    );
    await vm.must('systemctl daemon-reload; systemctl stop cloudify-agent.service');
  }

  /** Everything in the kernel's tables and sets that is not ours, without counters. */
  async foreign(): Promise<string> {
    const text = await this.vm.must('for t in iptables-save ip6tables-save; do $t; done; ipset save');
    const lines = text.split('\n').filter((line) => !line.startsWith('#') && !OURS.test(line));
    return lines.map((line) => line.replaceAll(/ ?\[\d+:\d+\]/g, '')).join('\n');
  }

  /** Lines of the tables and sets that are ours. */
  async ours(): Promise<string[]> {
    const text = await this.vm.must('for t in iptables-save ip6tables-save; do $t; done; ipset save');
    return text.split('\n').filter((line) => OURS.test(line));
  }

  /** A client outside, or on the VM itself over loopback. */
  async ask(host: string, port = PORT): Promise<string> {
    const words = ['python3', 'ask.py', 'connect', host, String(port)];
    const command = this.#from(host, words);
    return (await run(command, 10_000)).stdout.trim();
  }

  /**
   * An established connection; resolves once it is. `ended` gives CLOCK_BOOTTIME of its last answer and how
   * it ended.
   */
  async hold(host: string, seconds: number, port = PORT) {
    const child = start(this.#from(host, ['python3', 'ask.py', 'hold', host, String(port), String(seconds)]));
    const first = await child.line();
    if (first !== 'held') throw new Error(`no connection to ${host}: ${first}`);
    return {
      ended: async () => {
        const [last, fate] = (await child.line()).split(' ');
        return { last: Number(last), fate: fate ?? '' };
      },
    };
  }

  #from(host: string, words: readonly string[]): string[] {
    const [python = '', script = '', ...rest] = words;
    const local = host === '127.0.0.1' || host === '::1';
    return local
      ? this.vm.command([python, `${PLACE}/${script}`, ...rest])
      : this.lab.asClient([python, join(here, script), ...rest]);
  }

  /** Renews as the agent's user does. `deadline` is the last that was answered with ok. */
  holder(right: number, every: number, times?: number) {
    const words = ['python3', `${PLACE}/holder.py`, String(right), String(every)];
    const command = this.vm.command(times === undefined ? words : [...words, String(times)], {
      user: 'cfyuser',
    });
    const child = start(command);
    const holder = {
      deadline: 0,
      answers: [] as string[],
      took: [] as number[],
      async next(): Promise<string> {
        const [deadline, ...answer] = (await child.line()).split(' ');
        const took = Number(answer.pop());
        holder.answers.push(answer.join(' '));
        holder.took.push(took);
        if (answer[0] === 'ok') holder.deadline = Number(deadline);
        return answer.join(' ');
      },
      signal: async (name: string) => {
        await this.vm.exec(['pkill', `-${name}`, '-u', 'cfyuser', '-f', 'holder.py']);
      },
    };
    return holder;
  }

  async boottime(): Promise<number> {
    return Number((await this.vm.must('cut -d" " -f1 /proc/uptime')).trim());
  }

  unit(name: string): Promise<string> {
    return this.vm.exec(['systemctl', 'is-active', name]).then(({ stdout }) => stdout.trim());
  }
}

/** A process whose lines are asked for one by one. */
function start(command: readonly string[]) {
  const [file = '', ...args] = command;
  const child: ChildProcessByStdio<null, Readable, null> = spawn(file, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  process.on('exit', () => child.kill('SIGKILL'));
  const lines: string[] = [];
  let waiting: ((line: string) => void) | null = null;
  let rest = '';
  let over = false;
  const give = (line: string) => {
    const to = waiting;
    waiting = null;
    if (to) to(line);
    else lines.push(line);
  };
  child.stdout.on('data', (chunk) => {
    rest += chunk;
    const parts = rest.split('\n');
    rest = parts.pop() ?? '';
    for (const part of parts) give(part);
  });
  child.stdout.on('close', () => {
    over = true;
    give('');
  });
  return {
    line: (): Promise<string> => {
      const ready = lines.shift();
      if (ready !== undefined) return Promise.resolve(ready);
      if (over) return Promise.resolve('');
      return new Promise((done) => {
        waiting = done;
      });
    },
  };
}
