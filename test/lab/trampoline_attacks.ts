/** What an attacker who is cfyuser tries, as data. */
import { type Attack, EVIL, PWNED } from './trampoline.ts';

const words = (name: string, ...call: string[]): Attack => ({ name, call, expect: 2 });
const shell = (name: string, call: string, expect: Attack['expect'] = 2): Attack => ({ name, call, expect });

const CONSUL = 'cloudify-consul.service';
const STATUS = `service status ${CONSUL}`;

const argumentsOf: Attack[] = [
  words('another unit', 'service', 'stop', 'ssh.service'),
  words('the distribution’s unit', 'service', 'start', 'postgresql.service'),
  words('a unit file by path', 'service', 'start', `${EVIL}/evil.service`),
  words('an option for a unit', 'service', 'start', '--root=/tmp/evil'),
  words('a host option', 'service', 'status', '-H evil'),
  words('an action of systemctl', 'service', 'edit', CONSUL),
  words('a link of a unit', 'service', 'link', `${EVIL}/evil.service`),
  words('a pattern', 'service', 'stop', '*'),
  words('a semicolon', 'service', 'status', `${CONSUL};touch ${PWNED}`),
  words('a command substitution', 'service', 'status', `$(touch ${PWNED})`),
  words('backquotes', 'service', 'status', `\`touch ${PWNED}\``),
  words('a pipe', 'service', 'status', CONSUL, '|', 'sh'),
  words('a line end', 'service', 'status', `${CONSUL}\nssh.service`),
  words('a role with a path', 'firewall', `../../..${EVIL}/rules`),
  words('an address with a second line', 'peers', '10.0.0.1\nflush cloudify-peers4'),
  words('a file for ipset', 'peers', `-file ${EVIL}/x`),
  words('a zone with a command', 'peers', `fe80::1%$(touch ${PWNED})`),
  words('another folder to wipe', 'consul', 'wipe', '/etc'),
  words('no arguments'),
  words('help', '--help'),
  words('the command line of the agent', 'run', '--config', `${EVIL}/agent.yaml`),
  words('install', 'install'),
  words('a runtime’s option', '-e', `require("fs").writeFileSync("${PWNED}","")`),
  words('a runtime’s preload', '--preload', `${EVIL}/evil.js`, 'service', 'status', CONSUL),
  words('an argument of 100 kB', 'service', 'status', 'a'.repeat(100_000)),
  shell('10,000 arguments', '$T peers $(seq 10000)'),
];

const environment: Attack[] = [
  // The allowed call goes through, as if nothing had been set.
  shell('BUN_BE_BUN', `BUN_BE_BUN=1 $T -e 'require("fs").writeFileSync("${PWNED}","")'`),
  shell('BUN_BE_BUN, exported, with a version call', 'export BUN_BE_BUN=1; $T --version'),
  shell('BUN_OPTIONS', `BUN_OPTIONS="--preload=${EVIL}/evil.js" $T ${STATUS}`, 0),
  shell('NODE_OPTIONS', `NODE_OPTIONS="--require=${EVIL}/evil.js" $T ${STATUS}`, 0),
  shell(
    'BUN_INSPECT',
    `BUN_INSPECT=ws://127.0.0.1:6499/x BUN_INSPECT_PRELOAD=${EVIL}/evil.js $T ${STATUS}`,
    0,
  ),
  shell('BUN_CONFIG and HOME', `HOME=${EVIL} XDG_CONFIG_HOME=${EVIL} BUN_INSTALL=${EVIL} $T ${STATUS}`, 0),
  shell('PATH', `PATH=${EVIL}:$PATH $T ${STATUS}`, 0),
  shell('SYSTEMD_PAGER and PAGER', `PAGER=${EVIL}/systemctl SYSTEMD_PAGER=${EVIL}/systemctl $T ${STATUS}`, 0),
  shell('SUDO_USER and SUDO_COMMAND', 'SUDO_USER=root SUDO_COMMAND=/bin/sh $T service stop ssh.service'),
  shell('another name for the process', `(exec -a agent $T install)`),
  shell(
    'LD_PRELOAD',
    `LD_PRELOAD=${EVIL}/none.so /bin/true 2>&1 | grep -q 'cannot be preloaded' || exit 9
     out=$(LD_PRELOAD=${EVIL}/none.so $T ${STATUS} 2>&1) || exit 8
     case $out in *preloaded*) exit 7;; esac`,
    0,
  ),
  shell('a variable for sudo', `sudo -n BUN_BE_BUN=1 /opt/cloudify/sudo_trampoline ${STATUS}`, 'sudo'),
  shell('sudo -E', `BUN_BE_BUN=1 sudo -n -E /opt/cloudify/sudo_trampoline ${STATUS}`, 'sudo'),
  shell(
    'sudo --preserve-env=',
    `BUN_BE_BUN=1 sudo -n --preserve-env=BUN_BE_BUN /opt/cloudify/sudo_trampoline ${STATUS}`,
    'sudo',
  ),
  // Limits are the caller's, and outlive the change of user.
  shell('a limit of file size, so that nothing can be logged', '(ulimit -f 0; $T service stop ssh.service)'),
  shell('the same with its signal ignored', `(trap '' XFSZ; ulimit -f 0; $T service stop ssh.service)`),
  shell('closed standard streams', '$T service stop ssh.service <&- >&- 2>&-'),
  shell(
    'a closed pipe',
    '($T service stop ssh.service 2>&1; echo $? >code) | true; sleep 0.3; exit $(cat code)',
  ),
];

const folder: Attack[] = [
  shell('bunfig.toml, .env, package.json in the working directory', `$T ${STATUS}`, 0),
  shell(
    'a working directory of the caller’s choice',
    `cd /; sudo -n -D ${EVIL} /opt/cloudify/sudo_trampoline ${STATUS}`,
    'sudo',
  ),
];

const sudo: Attack[] = [
  shell('another program', 'sudo -n /usr/bin/id', 'sudo'),
  shell('a shell', 'sudo -n -s', 'sudo'),
  shell('the agent under its own name', 'sudo -n /opt/cloudify/agent install', 'sudo'),
  shell('a file', 'sudo -n -e /etc/shadow', 'sudo'),
  shell('as another user', `sudo -n -u postgres /opt/cloudify/sudo_trampoline ${STATUS}`, 'sudo'),
  shell('in another root', `sudo -n -R ${EVIL} /opt/cloudify/sudo_trampoline ${STATUS}`, 'sudo'),
  // sudo knows the file again and runs the path of its own configuration.
  shell(
    'a link of his own to the executable',
    `ln -sfn /opt/cloudify/agent sudo_trampoline; sudo -n ${EVIL}/sudo_trampoline run`,
  ),
  shell(
    'a copy of his own',
    `rm -f sudo_trampoline; cp /bin/sh sudo_trampoline; sudo -n ${EVIL}/sudo_trampoline -c id`,
    'sudo',
  ),
  shell(
    'without sudo, under its name',
    '(exec -a sudo_trampoline /opt/cloudify/agent units take); [ $? = 2 ]',
    0,
  ),
  { name: 'as a user who is not listed', call: `$T ${STATUS}`, user: 'cfyuser_consul', expect: 'sudo' },
  {
    name: 'as postgres, its own unit',
    call: '$T service stop cloudify-postgresql.service',
    user: 'postgres',
    expect: 0,
  },
  ...[
    'service restart cloudify-postgresql.service',
    `service stop ${CONSUL}`,
    'service stop cloudify-postgresql.service ssh.service',
    'firewall active',
    'units give',
  ].map(
    (call): Attack => ({
      name: `as postgres, ${call}`,
      call: `$T ${call}`,
      user: 'postgres',
      expect: 'sudo',
    }),
  ),
];

const policy = (name: string, before: string): Attack => ({
  name: `the policy: ${name}`,
  call: `$T ${STATUS}`,
  expect: 2,
  before: `cp -a /etc/cloudify/trampoline.json /root/policy; ${before}`,
  after: `chown root:cluster /etc/cloudify; chmod 0755 /etc/cloudify; chown root /etc; chmod 0755 /etc
          rm -rf /etc/cloudify/trampoline.json /etc/cloudify/other; cp -a /root/policy /etc/cloudify/trampoline.json`,
});
const FILE = '/etc/cloudify/trampoline.json';
const policies: Attack[] = [
  policy('belongs to cfyuser', `chown cfyuser ${FILE}`),
  policy('can be written by its group', `chgrp cluster ${FILE}; chmod 0664 ${FILE}`),
  policy('can be written by all', `chmod 0666 ${FILE}`),
  policy('is a link', `mv ${FILE} /etc/cloudify/other; ln -s other ${FILE}`),
  policy('has a second name', `ln ${FILE} /etc/cloudify/other`),
  policy('is a pipe', `rm ${FILE}; mkfifo ${FILE}`),
  policy('is a folder', `rm ${FILE}; mkdir ${FILE}`),
  policy('is missing', `rm ${FILE}`),
  policy('is empty', `: >${FILE}`),
  policy('names an option as a unit', `sed -i 's/cloudify-consul.service/--root=x.service/' ${FILE}`),
  policy('lies in a folder of cfyuser', 'chown cfyuser /etc/cloudify'),
  policy('lies in a folder that a group can write', 'chmod 0775 /etc/cloudify'),
  policy('lies in a folder that all can write, sticky', 'chmod 1777 /etc/cloudify'),
  policy('lies under a folder that all can write', 'chmod 0777 /etc'),
];

const rules: Attack[] = [
  {
    name: 'rules that belong to cfyuser',
    call: ['firewall', 'active'],
    expect: 2,
    before: 'chown cfyuser /etc/cloudify/firewall/active.v6',
    after: 'chown root /etc/cloudify/firewall/active.v6',
  },
  {
    name: 'rules that are a link',
    call: ['firewall', 'standby'],
    expect: 2,
    before: `cd /etc/cloudify/firewall; mv standby.v4 o; ln -s ${EVIL}/rules standby.v4`,
    after: 'cd /etc/cloudify/firewall; mv o standby.v4',
  },
];

export const ATTACKS: readonly Attack[] = [
  ...argumentsOf,
  ...environment,
  ...folder,
  ...sudo,
  ...policies,
  ...rules,
];
