/** The lab itself: what the other tests on VMs rest on. One boot of two VMs, no agent. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { Ledger } from '../ledger/ledger.ts';
import { createLab, type Lab } from './lab.ts';
import { ledgerAddresses, makeDatabase } from './manager/manager.ts';
import { missing } from './probe.ts';
import { labNames } from './reap.ts';

const reasons = await missing();
const NAME = 't-lab';
const listener = `import socket
s = socket.socket(socket.AF_INET6); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("::", 7000)); s.listen()
while True:
    c, _ = s.accept(); c.send(b"hi"); c.close()
`;

describe.skipIf(reasons.length > 0)('the lab', () => {
  let lab: Lab;
  let ledger: Ledger;

  beforeAll(async () => {
    lab = await createLab({ name: NAME, nodes: 2, say: console.log });
    for (const vm of lab.machines) {
      await vm.writeFile('/root/listener.py', listener);
      await vm.must('systemd-run --unit listener python3 /root/listener.py');
      await makeDatabase(vm);
    }
    ledger = new Ledger({ nodes: { n1: ledgerAddresses(lab).n1 ?? never() }, through: lab.asClient([]) });
  }, 300_000);

  afterAll(async () => {
    await ledger?.close();
    lab?.down();
    expect(labNames()).not.toContain(NAME);
  });

  const never = (): never => {
    throw new Error('no n1');
  };
  const fromVm = async (id: string, to: string) =>
    (await lab.node(id).exec(['timeout', '1', 'bash', '-c', `exec 3<>/dev/tcp/${to}/7000 && cat <&3`]))
      .stdout;
  const fromClient = async (to: string) => {
    const argv = lab.asClient(['timeout', '1', 'bash', '-c', `exec 3<>/dev/tcp/${to}/7000 && cat <&3`]);
    return Bun.spawnSync(argv, { stderr: 'ignore' }).stdout.toString();
  };

  test('VMs have systemd as PID 1, their own names, and reach each other by IPv4 and IPv6', async () => {
    const n1 = lab.node('n1');
    expect((await n1.must('cat /proc/1/comm; hostname')).split('\n')).toEqual(['systemd', 'n1', '']);
    expect(await n1.must('id -un', { user: 'postgres' })).toBe('postgres\n');
    expect(await fromVm('n1', '10.77.0.12')).toBe('hi');
    expect(await fromVm('n2', 'fd77::11')).toBe('hi');
    expect(await fromClient('10.77.0.11')).toBe('hi');
  });

  test('a one-way cut stops what one VM sends and nothing else', async () => {
    await lab.cut({ from: 'n1', to: 'n2' });
    expect(await fromVm('n2', '10.77.0.11')).toBe(''); // its answers are lost
    expect(await fromClient('10.77.0.11')).toBe('hi');
    await lab.heal();
    expect(await fromVm('n2', '10.77.0.11')).toBe('hi');
  });

  test('a cut of one port leaves the others open', async () => {
    await lab.cut({ to: 'n2', port: 7000 });
    expect(await fromVm('n1', '10.77.0.12')).toBe('');
    expect(await fromVm('n1', 'fd77::12')).toBe('');
    const postgres = await lab
      .node('n1')
      .exec(['timeout', '1', 'bash', '-c', ': <>/dev/tcp/10.77.0.12/5432']);
    expect(postgres.code).toBe(0);
    await lab.heal();
  });

  test('a frozen VM answers nobody and goes on where it was', async () => {
    lab.node('n2').freeze();
    expect(await fromClient('10.77.0.12')).toBe('');
    lab.node('n2').thaw();
    expect(await fromClient('10.77.0.12')).toBe('hi');
  });

  test('the ledger sees an outage from outside and loses no acknowledged write', async () => {
    const mark = await ledger.mark();
    await ledger.acknowledgedAfter(mark, 5000);
    await lab.cutOff('n1');
    await Bun.sleep(600);
    await lab.heal();
    await ledger.acknowledgedAfter(await ledger.mark(), 10_000);
    const gap = await ledger.downtime(mark);
    expect(gap.ms).toBeGreaterThan(600);
    expect((await ledger.balance('n1')).lost).toEqual([]);
  });

  test('the ledger names the moments at which two VMs accept writes', async () => {
    const both = new Ledger({ nodes: ledgerAddresses(lab, 6), through: lab.asClient([]) });
    const mark = await both.mark();
    for (const id of ['n1', 'n2']) await both.acknowledgedAfter(mark, 5000, id);
    await Bun.sleep(300);
    expect((await both.overlaps()).length).toBeGreaterThan(0);
    await both.close();
  });

  test('a power cut is silence, and the next boot finds the disk but none of the network rules', async () => {
    const [n1, n2] = [lab.node('n1'), lab.node('n2')];
    await n2.must('iptables -A INPUT -p tcp --dport 9 -j DROP && echo kept >/root/kept');
    await n2.powerCut();
    expect(n2.init).toBeUndefined();
    const answer = await n1.exec(['timeout', '1', 'bash', '-c', ': <>/dev/tcp/10.77.0.12/7000']);
    expect(answer.code).toBe(124); // not refused: nobody is there
    await n2.boot();
    expect(await n2.readFile('/root/kept')).toBe('kept\n');
    expect(await n2.must('iptables -S INPUT')).not.toContain('DROP');
    expect(await n2.must('journalctl --list-boots --no-pager | grep -c " 20"')).toBe('2\n');
    expect(await fromVm('n2', 'fd77::11')).toBe('hi');
  });

  test('a second lab of the same name is refused while this one is up', async () => {
    await expect(createLab({ name: NAME, nodes: 1 })).rejects.toThrow('in use');
  });
});

if (reasons.length > 0) console.log(`!!! the lab cannot run here: ${reasons.join('; ')}`);
