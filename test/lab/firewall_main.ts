/**
 * `npm run lab -- firewall`: rules and kernel lease on a real machine. Exit code 1 if anything is not as it
 * must be.
 */
import process from 'node:process';
import { Bench, DATABASE_PORT } from './firewall/bench.ts';
import { createLab, openLab } from './lab.ts';
import { CLIENT } from './names.ts';

const named = process.env.LAB_NAME;
const lab = named === undefined ? await createLab({ name: 'firewall', nodes: 1 }) : openLab(named);
const bench = new Bench(lab);
const { vm } = bench;
const PLACES = [vm.ip, vm.ip6, '127.0.0.1', '::1'];
let failures = 0;
const report = (name: string, problem?: string) => {
  if (problem !== undefined) failures++;
  console.log(problem === undefined ? `ok ${name}` : `FAILED ${name}: ${problem}`);
};
const same = (name: string, seen: unknown, wanted: unknown) => {
  const [a, b] = [JSON.stringify(seen), JSON.stringify(wanted)];
  report(name, a === b ? undefined : `${a} instead of ${b}`);
};
const everywhere = async (port?: number) => Promise.all(PLACES.map((place) => bench.ask(place, port)));
const all = (word: string) => PLACES.map(() => word);
const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

await bench.prepare();
const foreign = await bench.foreign();
same('without the boot unit clients reach the manager', await everywhere(), all('open'));

await vm.must('systemctl start cloudify-iptables-restore.service');
same('fenced at boot: IPv4, IPv6 and loopback are refused', await everywhere(), all('refused'));
same('and the database port as well', await everywhere(DATABASE_PORT), all('refused'));
same("somebody else's rules and sets are as they were", await bench.foreign(), foreign);
await vm.must(['/opt/cloudify/sudo_trampoline', 'peers', CLIENT.ip, CLIENT.ip6]);
same(
  'a member reaches the database port of a fenced node',
  [await bench.ask(vm.ip, DATABASE_PORT), await bench.ask(vm.ip6, DATABASE_PORT)],
  ['open', 'open'],
);
same('but no client port', await bench.ask(vm.ip), 'refused');
await vm.must(['/opt/cloudify/sudo_trampoline', 'peers']);
same('and not once it is no longer a member', await bench.ask(vm.ip, DATABASE_PORT), 'refused');

{
  const holder = bench.holder(4, 1);
  same('a renewal by the agent’s user opens', await holder.next(), 'ok');
  same('the boot’s fenced rules did not stay', await everywhere(), all('open'));
  same("somebody else's rules are still as they were", await bench.foreign(), foreign);
  const held = await Promise.all(PLACES.map((place) => bench.hold(place, 30)));
  for (let i = 0; i < 5; i++) await holder.next();
  console.log(`   a renewal takes ${holder.took.map((ms) => ms.toFixed(1)).join(', ')} ms`);
  await vm.must('systemctl start cloudify-postgresql.service');
  // At any moment between two renewals.
  await pause(300);
  await holder.signal('KILL');
  const ends = await Promise.all(held.map((one) => one.ended()));
  for (const [i, { last, fate }] of ends.entries())
    report(
      `agent killed: the established connection to ${PLACES[i]} was cut ${(holder.deadline - last).toFixed(3)} s before the deadline (${fate})`,
      last > holder.deadline + 0.05 || fate === 'lasted'
        ? 'too late'
        : last < holder.deadline - 1
          ? 'a second too early'
          : undefined,
    );
  same('and nobody comes in again', await everywhere(), all('refused'));
  await pause(500);
  same('the writable server was ended', await bench.unit('cloudify-postgresql.service'), 'failed');
  same("somebody else's rules are as they were", await bench.foreign(), foreign);
}

{
  await vm.must('mkdir -p /var/lib/postgresql/15/main; touch /var/lib/postgresql/15/main/standby.signal');
  await vm.must('systemctl start cloudify-postgresql.service');
  const holder = bench.holder(4, 1, 1);
  same('a short lease opens', await holder.next(), 'ok');
  await pause(4500);
  same(
    'a standby’s server goes on when the lease ends',
    await bench.unit('cloudify-postgresql.service'),
    'active',
  );
  same('shut all the same', await bench.ask(vm.ip), 'refused');
  await vm.must('systemctl stop cloudify-postgresql.service; rm /var/lib/postgresql/15/main/standby.signal');
}

{
  const holder = bench.holder(4, 1);
  await holder.next();
  const held = await bench.hold(vm.ip, 30);
  await holder.next();
  await holder.signal('STOP');
  const { last, fate } = await held.ended();
  report(
    `agent frozen: cut ${(holder.deadline - last).toFixed(3)} s before the deadline (${fate})`,
    last > holder.deadline + 0.05 ? 'too late' : undefined,
  );
  same('and refused', await everywhere(), all('refused'));
  await holder.signal('KILL');
}

{
  const holder = bench.holder(4, 1);
  await holder.next();
  const held = await bench.hold(vm.ip, 30);
  await holder.next();
  await vm.must('systemctl kill -s STOP cloudify-lease.service; pkill -STOP -u cfyuser -f holder.py');
  const { last, fate } = await held.ended();
  report(
    `agent and helper frozen: the kernel alone cut ${(holder.deadline - last).toFixed(3)} s before the deadline (${fate})`,
    last > holder.deadline + 0.05 ? 'too late' : undefined,
  );
  same('nobody is let in by the kernel', (await everywhere()).includes('open'), false);
  await vm.must('systemctl kill -s CONT cloudify-lease.service; pkill -KILL -u cfyuser -f holder.py');
  await pause(700);
  same('awake again, the helper refuses at once', await bench.ask(vm.ip), 'refused');
}

{
  const holder = bench.holder(4, 1);
  await holder.next();
  const held = await bench.hold(vm.ip, 8);
  await holder.next();
  await vm.must('systemctl kill -s KILL cloudify-lease.service');
  await pause(1500);
  const again = bench.holder(4, 1);
  same('a killed helper is back and takes orders', await again.next(), 'ok');
  for (let i = 0; i < 4; i++) await again.next();
  const { fate } = await held.ended();
  same('the established connection lived through it', fate, 'lasted');
  await vm.must('systemctl kill -s KILL cloudify-lease.service; pkill -KILL -u cfyuser -f holder.py');
  await pause(5000);
  same('a helper restarted with nobody renewing shuts', await everywhere(), all('refused'));
}

{
  // Twice: thawed, it must not renew what a real agent would know to be over.
  const holder = bench.holder(4, 1, 2);
  await holder.next();
  const held = await bench.hold(vm.ip, 30);
  await holder.next();
  vm.freeze();
  await pause(8000);
  const asked = bench.ask(vm.ip);
  vm.thaw();
  const { last } = await held.ended();
  report(
    `VM frozen for 8 s: the last answer came ${(holder.deadline - last).toFixed(3)} s before the deadline`,
    last > holder.deadline + 0.3 ? 'too late' : undefined,
  );
  same('a client that asked while it was frozen is let in by nobody', (await asked) === 'open', false);
}

{
  await pause(5000);
  const holder = bench.holder(4, 1);
  await holder.next();
  const held = await bench.hold(vm.ip, 30);
  vm.starve(0.02);
  await vm.exec('pkill -KILL -u cfyuser -f holder.py', { timeout: 60_000 });
  const { last, fate } = await held.ended();
  vm.starve(null);
  report(
    `VM starved: cut ${(holder.deadline - last).toFixed(3)} s before the last deadline heard (${fate})`,
    undefined,
  );
}

same(
  'a deadline too far ahead is refused',
  (await bench.holder(60, 1, 1).next()).startsWith('refused'),
  true,
);
const intruder = await vm.exec(['python3', '/opt/lab/holder.py', '4', '1', '1'], { user: 'cfyuser_consul' });
report('another user does not reach the socket', intruder.code === 0 ? intruder.stdout : undefined);

await vm.must('iptables -D INPUT -j CLOUDIFY-IN; ip6tables -F INPUT');
{
  const holder = bench.holder(4, 1, 3);
  await holder.next();
  await pause(500);
  const hooks = await vm.must('iptables -S INPUT 1; ip6tables -S INPUT 1');
  same(
    'hooks that somebody removed are back in first place',
    hooks,
    '-A INPUT -j CLOUDIFY-IN\n-A INPUT -j CLOUDIFY-IN\n',
  );
}

{
  const holder = bench.holder(4, 1, 22);
  await holder.next();
  const ticks = async () =>
    Number(
      await vm.must(
        `p=$(systemctl show -p MainPID --value cloudify-lease.service); cat /proc/$p/stat $(pgrep -P $p | sed 's|.*|/proc/&/stat|') | awk '{n += $14 + $15} END {print n}'`,
      ),
    );
  const before = await ticks();
  for (let i = 0; i < 20; i++) await holder.next();
  console.log(
    `   renewed every second the helper and its ipset take ${(((await ticks()) - before) / 20).toFixed(2)} % of a core`,
  );
}

const memory = await vm.must(
  "systemctl show -p MainPID --value cloudify-lease.service | xargs -I{} grep -E 'VmRSS|RssAnon' /proc/{}/status",
);
console.log(`   the helper's memory: ${memory.replaceAll(/\s+/g, ' ')}`);
await vm.must('systemctl stop cloudify-lease.service cloudify-iptables-restore.service');
same('a stopped boot unit leaves the manager to its own rules', await everywhere(), all('open'));
const removed = await vm.exec(['/opt/cloudify/agent', 'uninstall'], { timeout: 60_000 });
same('uninstall leaves nothing of ours in the kernel', [removed.code, await bench.ours()], [0, []]);

if (named === undefined) lab.down();
console.log(failures === 0 ? 'all as it must be' : `${failures} failed`);
process.exitCode = failures === 0 ? 0 : 1;
