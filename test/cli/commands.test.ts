import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import type { AuthorityStatus } from '../../agent/api/types.ts';
import { AgentError } from '../../agent/errors.ts';
import {
  agentStatus,
  clusterStatus,
  historyRecord,
  logLine,
  NODES,
  nodeRow,
  operation,
  refusal,
} from '../fakes/agent_api.ts';
import { type Bench, bench, runAlone, testTerminal } from './harness.ts';

let on: Bench;
beforeEach(async () => {
  on = await bench();
});
afterEach(() => on.close());

describe('what is read', () => {
  test('nodes list shows its columns aligned, and offline nodes', async () => {
    const { code, out } = await on.cli('cluster nodes list');
    expect(code).toBe(0);
    expect(`\n${out}`).toMatchInlineSnapshot(`
      "
      name  host_ip     state    consul  cloudify services  database  heartbeat  filesync    lag
      m1    127.0.0.11  leader   OK      OK                 OK        OK         OK            -
      m2    127.0.0.12  replica  OK      OK                 OK        OK         OK        16 MB
      m3    127.0.0.13  offline  FAIL    FAIL               FAIL      FAIL       FAIL          -
      "
    `);
  });

  test('nodes list --json is the rows themselves, and --socket may stand before the command', async () => {
    const { out } = await on.cli('cluster nodes list --json');
    expect(JSON.parse(out)).toEqual(NODES);
    const before = await runAlone(['--socket', on.socket, '--json', 'cluster', 'nodes', 'list']);
    expect(before).toEqual({ code: 0, out, err: '' });
  });

  test('nodes list on a terminal is coloured', async () => {
    const { out } = await on.cli('cluster nodes list', testTerminal({ tty: true, color: true }));
    expect(out).toContain('\u001b[31mFAIL');
  });

  test('nodes list --watch draws anew each second until interrupted, and outlasts an agent that is away', async () => {
    let draws = 0;
    const terminal = testTerminal({}, () => {
      draws++;
      const away = new AgentError({ class: 'transient', code: 'consul_unknown', message: 'no Consul' });
      if (draws === 1) on.agent.cluster = () => Promise.reject(away);
      if (draws === 2) on.agent.cluster = async () => clusterStatus({ nodes: NODES.slice(0, 1) });
      if (draws === 3) terminal.interrupt();
    });
    const { code, out } = await on.cli('cluster nodes list --watch', terminal);
    const lines = out.split('\n').map((line) => line.slice(0, 9).trimEnd());
    const rows = ['name  hos', 'm1    127'];
    expect([code, lines]).toEqual([
      0,
      [...rows, 'm2    127', 'm3    127', '', 'no Consul', '', ...rows, '', ''],
    ]);
  });

  test('nodes get shows one node; an unknown one is an error that names the others', async () => {
    expect(`\n${(await on.cli('cluster nodes get m2')).out}`).toMatchInlineSnapshot(`
      "
      name               m2
      host_ip            127.0.0.12
      state              replica
      because            following the active
      voter              yes
      timeline           2
      lag                16 MB
      consul             OK
      cloudify services  OK
      database           OK
      heartbeat          OK
      filesync           OK
      priority           100
      agent              0.1.0
      "
    `);
    expect(await on.cli('cluster nodes get m9')).toEqual({
      code: 1,
      out: '',
      err: 'agent cluster nodes get: no node m9 in this cluster\n  its nodes: m1, m2, m3\n',
    });
  });

  test('cluster status shows who is active, what confirms commits and what is survived', async () => {
    expect(`\n${(await on.cli('cluster status')).out}`).toMatchInlineSnapshot(`
      "
      cluster      c0ffee
      active       m1, epoch 3, since 2026-01-02 03:04:05Z
      replication  any 1 of m2, m3 confirms each commit
      consul       2 of 3 servers alive; 0 more may be lost

      name  host_ip     state    consul  cloudify services  database  heartbeat  filesync    lag
      m1    127.0.0.11  leader   OK      OK                 OK        OK         OK            -
      m2    127.0.0.12  replica  OK      OK                 OK        OK         OK        16 MB
      m3    127.0.0.13  offline  FAIL    FAIL               FAIL      FAIL       FAIL          -
      "
    `);
  });

  test('cluster status names who was admitted and is no node yet', async () => {
    const ends = '2026-01-02T03:14:05.000Z';
    on.agent.clusters = [clusterStatus({ reservations: [{ name: 'm4', hostIp: '10.0.0.14', ends }] })];
    expect((await on.cli('cluster status')).out).toMatch(/joining +m4 \(10\.0\.0\.14\), reserved until /);
    on.agent.clusters = [clusterStatus({})];
    expect((await on.cli('cluster status')).out).not.toContain('joining');
  });

  test('cluster status says while records of members count without a signature, and for whom it waits', async () => {
    const shown = async (more: Parameters<typeof clusterStatus>[0]) => {
      on.agent.clusters = [clusterStatus(more)];
      return (await on.cli('cluster status')).out;
    };
    expect(await shown({ unsigned: ['m3'] })).toMatch(
      /signatures .*not while m3 is off or runs an earlier version/,
    );
    expect(await shown({ unsigned: [] })).toMatch(/signatures .*in a moment/);
    expect(await shown({})).not.toContain('signatures');
  });

  test('cluster status says aloud: no active, degraded, paused, a refused request', async () => {
    on.agent.clusters = [
      clusterStatus({
        active: null,
        degraded: true,
        sync: null,
        paused: true,
        pausedUntil: '2026-01-02T03:14:05.000Z',
        request: { id: 'r', target: 'm2', refused: 'm2 is behind' },
        quorum: null,
        nodes: [],
      }),
    ];
    expect(`\n${(await on.cli('cluster status')).out}`).toMatchInlineSnapshot(`
      "
      cluster      c0ffee
      active       NONE
      replication  DEGRADED: commits are not confirmed by any standby
      paused       until 2026-01-02 03:14:05Z
      request      switchover to m2, refused: m2 is behind

      name  host_ip  state  consul  cloudify services  database  heartbeat  filesync  lag
      "
    `);
  });

  test('history lists the changes in order with what each cost', async () => {
    on.agent.records = [
      historyRecord({
        epoch: 2,
        holder: 'm2',
        from: 'm1',
        kind: 'switchover',
        reason: 'requested',
        timeline: 2,
        lsn: '83886176',
        downtimeMs: 241,
      }),
      historyRecord(),
    ];
    expect(`\n${(await on.cli('cluster history')).out}`).toMatchInlineSnapshot(`
      "
      epoch  at                    kind        active  from  timeline  lsn        downtime  reason
          1  2026-01-02 03:00:00Z  start       m1      -            1  -                 -  cluster start
          2  2026-01-02 03:00:00Z  switchover  m2      m1           2  0/5000060    0.24 s  requested
      "
    `);
  });

  test('agent status shows role, lease, database, services and checks; components with --verbose', async () => {
    const { out } = await on.cli('status');
    expect(`\n${out}`).toMatchInlineSnapshot(`
      "
      manager   m1
      role      active
      because   healthy active (rule 900)
      lease     epoch 3, 3.46 s left
      clients   let in
      database  primary, accepting connections, timeline 2, 0/5000060
      agent     0.1.0 (0123456789ab), pid 4711, since 2026-01-02 03:00:00Z

      service                         state     pid  since
      Management Worker (mgmtworker)  running  4712  2026-01-02 03:00:01Z
      nginx                           failed      -  -

      check          result  output
      postgres_port  OK      accepts connections
      services       FAIL    nginx does not run
      "
    `);
    expect(out).not.toContain('check-runner');
    const verbose = await on.cli('status --verbose');
    expect(verbose.out).toContain('check-runner');
    expect(verbose.err).toMatch(/^GET \/api\/v1\/status: 200 in \d+ ms\n$/);
  });

  test('a check that warns is WARN, in yellow; JSON says ok and warning; without the field it is OK', async () => {
    const checks = {
      disk: { ok: true, output: 'room' },
      clock: { ok: true, output: 'not known', warning: true },
      services: { ok: false, output: 'down', warning: true },
    };
    on.agent.statusNow = agentStatus({ checks });
    const { out } = await on.cli('status');
    expect(out).toContain('disk      OK      room\nclock     WARN    not known\nservices  FAIL    down\n');
    const coloured = await on.cli('status', testTerminal({ tty: true, color: true }));
    expect(coloured.out).toContain('\u001b[33mWARN');
    expect(JSON.parse((await on.cli('status --json')).out).checks).toEqual(checks);
  });

  test('nodes list and nodes get say WARN, in yellow, of a column in which a check warns', async () => {
    const nodes = [nodeRow({ warnings: ['database'] })];
    on.agent.clusters = [clusterStatus({ nodes })];
    const terminal = testTerminal({ tty: true, color: true });
    const { out } = await on.cli('cluster nodes list', terminal);
    expect(out.split('\u001b[33m').length).toBe(2);
    expect(out).toContain('\u001b[33mWARN');
    expect((await on.cli('cluster nodes get m1')).out).toMatch(/^database +WARN$/m);
  });

  test('agent status outside a cluster is no error', async () => {
    on.agent.statusNow = agentStatus({ node: '', initialized: false, role: 'none', leaseMs: 0 });
    const { code, out } = await on.cli('status');
    expect([code, out]).toEqual([0, expect.stringContaining('not in a cluster')]);
  });

  test('logs are lines as in the file, or JSON lines', async () => {
    on.agent.lines = [logLine(), logLine({ component: 'agent', level: 'warn', message: 'second' })];
    expect((await on.cli('logs')).out).toBe(
      '2026-01-02T03:00:00.000Z INFO  [lease] renewed\n2026-01-02T03:00:00.000Z WARN  [agent] second\n',
    );
    expect(JSON.parse((await on.cli('logs --component agent --json')).out)).toEqual(on.agent.lines[1]);
    expect((await on.cli('logs -n 1')).out).toContain('second');
  });

  test('logs -f goes on with new lines until interrupted', async () => {
    const terminal = testTerminal();
    const running = on.cli('logs -f --component lease', terminal);
    const deadline = performance.now() + 2000;
    while (on.agent.listeners === 0 && performance.now() < deadline) await Bun.sleep(2);
    on.agent.log(logLine({ message: 'two' }));
    while (!terminal.outText().includes('two') && performance.now() < deadline) await Bun.sleep(2);
    terminal.interrupt();
    const { code, out } = await running;
    expect([code, out.trimEnd().split('\n').length]).toEqual([0, 2]);
  });
});

describe('what is asked for', () => {
  test('start shows each step with its time, bytes and rate, and says who is active', async () => {
    on.agent.operations = [
      operation(),
      operation({ steps: [{ name: 'prepare', state: 'done', startedAt: '', ms: 120 }] }),
      operation({
        state: 'done',
        steps: [
          { name: 'prepare', state: 'done', startedAt: '', ms: 120 },
          {
            name: 'copy the database',
            state: 'done',
            startedAt: '',
            ms: 4000,
            bytes: 120 * 1024 ** 2,
            total: 120 * 1024 ** 2,
          },
        ],
      }),
    ];
    const { code, out, err } = await on.cli(
      'cluster start --cluster-host-ip 127.0.0.11 --cluster-node-name m1 --options lease.preset=fast --options {"priority":5}',
    );
    expect([code, out]).toEqual([0, 'm1 is the active of the new cluster c0ffee\n']);
    expect(err).toBe(
      'done     prepare  0.12 s\ndone     copy the database  4.00 s  120 MB of 120 MB  30 MB/s\n',
    );
    expect(on.agent.asked).toEqual([
      [
        'start',
        {
          hostIp: '127.0.0.11',
          nodeName: 'm1',
          options: { lease: { preset: 'fast' }, tags: { priority: 5 } },
        },
      ],
    ]);
  });

  test('a running step is redrawn in place on a terminal, and mentioned now and then elsewhere', async () => {
    const going = operation({
      steps: [{ name: 'copy', state: 'running', startedAt: '', ms: 0, bytes: 1024, total: 4096 }],
    });
    const done = operation({
      state: 'done',
      steps: [{ name: 'copy', state: 'done', startedAt: '', ms: 6200 }],
    });
    on.agent.operations = [...Array.from({ length: 31 }, () => going), done];
    const plain = await on.cli('cluster nodes remove m3');
    expect(plain.err).toBe('...      copy  5.00 s  1 kB of 4 kB  205 B/s\ndone     copy  6.20 s\n');
    on.agent.operations = [going, going, done];
    const tty = await on.cli('cluster nodes remove m3', testTerminal({ errTty: true }));
    expect(tty.err).toBe(
      '\r\u001b[K...      copy  0.00 s  1 kB of 4 kB\r\u001b[K...      copy  0.20 s  1 kB of 4 kB  5 kB/s\r\u001b[Kdone     copy  6.20 s\n',
    );
    expect(tty.out).toStartWith('m3 is removed from the cluster\n');
  });

  test('join hands every address and the token on', async () => {
    on.agent.operations = [operation({ kind: 'join', state: 'done' })];
    const terminal = testTerminal({ env: { AGENT_JOIN_TOKEN: 't' } });
    const { code, out, err } = await on.cli('cluster join 127.0.0.11 --timeout 5 127.0.0.12:8700', terminal);
    expect([code, out, err]).toEqual([0, 'm1 is a standby of the cluster\n', '']);
    expect(on.agent.asked).toEqual([
      ['join', { addresses: ['127.0.0.11', '127.0.0.12:8700'], token: 't', options: {} }],
    ]);
  });

  test('join takes the token from standard input, and none there is an error before anything is asked', async () => {
    const join = async (stdin: string) => {
      on.agent.operations = [operation({ kind: 'join', state: 'done' })];
      const main = new URL('../../cli/main.ts', import.meta.url).pathname;
      const child = Bun.spawn([process.execPath, main, 'cluster', 'join', '--token', '-', '127.0.0.11'], {
        stdin: new Blob([stdin]),
        stdout: 'pipe',
        stderr: 'pipe',
        env: { ...process.env, AGENT_SOCKET: on.socket, AGENT_JOIN_TOKEN: 'of-the-environment' },
      });
      const err = await new Response(child.stderr).text();
      return { code: await child.exited, err };
    };
    expect(await join('from-the-pipe\n')).toEqual({ code: 0, err: '' });
    expect(on.agent.asked).toEqual([
      ['join', { addresses: ['127.0.0.11'], token: 'from-the-pipe', options: {} }],
    ]);
    on.agent.asked.length = 0;
    const none = await join(' \n');
    expect(none.code).toBe(2);
    expect(none.err).toContain('no join token on standard input');
    expect(on.agent.asked).toEqual([]);
  }, 60_000);

  test('join with the token among the arguments works, and warns of who sees it', async () => {
    on.agent.operations = [operation({ kind: 'join', state: 'done' })];
    const { code, err } = await on.cli('cluster join --token t 127.0.0.11');
    expect(code).toBe(0);
    expect(err).toContain('sees the token in the list of processes');
    expect(on.agent.asked).toEqual([['join', { addresses: ['127.0.0.11'], token: 't', options: {} }]]);
  });

  test('a failed operation ends with its own error, hint and exit code 1', async () => {
    on.agent.operations = [
      operation({
        kind: 'join',
        state: 'failed',
        error: 'the database is not empty',
        errorCode: 'manager_not_empty',
        hint: 'empty it first',
        steps: [{ name: 'look', state: 'failed', startedAt: '', ms: 10, detail: '3 tables' }],
      }),
    ];
    expect(await on.cli('cluster join 127.0.0.11')).toEqual({
      code: 1,
      out: '',
      err: 'failed   look  0.01 s  3 tables\nagent cluster join: the database is not empty\n  empty it first\n',
    });
  });

  test('an operation past its time ends with exit code 5 and goes on', async () => {
    on.agent.operations = [operation()];
    const { code, err } = await on.cli('cluster start --timeout 2');
    expect(code).toBe(5);
    expect(err).toStartWith('agent cluster start: start is not done after 2.00 s and still going\n');
  });

  test('set-active waits until the target is active under a new epoch and says what it cost', async () => {
    const request = { id: 'req-1', target: 'm2', refused: null };
    on.agent.clusters = [
      clusterStatus(),
      clusterStatus({ request }),
      clusterStatus({ active: null, epoch: 4, request }),
      clusterStatus({ active: 'm2', epoch: 4 }),
    ];
    on.agent.records = [historyRecord({ epoch: 4, downtimeMs: 241 })];
    expect(await on.cli('cluster set-active m2 --timeout 30')).toEqual({
      code: 0,
      out: 'm2 is the active now (epoch 4); clients were shut out for 0.24 s\n',
      err: '',
    });
    expect(on.agent.asked).toEqual([['setActive', 'm2', 30_000, 'socket']]);
  });

  test('set-active of the active asks for nothing', async () => {
    const { code, out } = await on.cli('cluster set-active m1');
    expect([code, out, on.agent.asked]).toEqual([0, 'm1 is already the active\n', []]);
  });

  test('set-active that is refused, at once or later, ends with exit code 1 and the reason', async () => {
    on.agent.refusal = refusal('unfit_target');
    expect((await on.cli('cluster set-active m2')).code).toBe(1);
    const request = { id: 'req-1', target: 'm2', refused: 'm2 lags 16 MB' };
    on.agent.clusters = [clusterStatus(), clusterStatus({ request })];
    const later = await on.cli('cluster set-active m2');
    expect([later.code, later.err.split('\n')[0]]).toEqual([
      1,
      'agent cluster set-active: m2 did not become the active: m2 lags 16 MB',
    ]);
  });

  test('set-active whose request is dropped ends with 1, one that takes too long with 5', async () => {
    expect((await on.cli('cluster set-active m2')).code).toBe(1);
    on.agent.clusters = [clusterStatus({ request: { id: 'req-1', target: 'm2', refused: null } })];
    expect((await on.cli('cluster set-active m2 --timeout 20')).code).toBe(5);
  });

  test('a join token is printed alone, so that it can be passed on, and is in no list', async () => {
    const made = await on.cli('cluster token create --ttl 10min');
    expect(made.out).toBe('aaaa0001.secret.pin\n');
    expect(made.err).toContain('for one manager, until 2026-11-22T11:00:00.000Z');
    const listed = await on.cli('cluster token list');
    expect(listed.out).toContain('aaaa0001  open');
    expect(listed.out).not.toContain('secret');
    expect((await on.cli('cluster token revoke aaaa0001')).code).toBe(0);
    expect(on.agent.asked).toEqual([
      ['createToken', 600_000, 'socket'],
      ['revokeToken', 'aaaa0001'],
    ]);
  });

  test('certificates are shown, and renewed when asked; what does not use them yet is a failure', async () => {
    expect((await on.cli('cluster certificates')).out).toContain('agent        2028-11-22T10:00:00.000Z');
    expect(on.agent.asked).toEqual([]);
    expect((await on.cli('cluster certificates --renew')).code).toBe(0);
    on.agent.renewCertificates = async () => ['consul: no answer'];
    const partly = await on.cli('cluster certificates --renew');
    expect([partly.code, partly.err.includes('consul: no answer')]).toEqual([1, true]);
  });

  const status = (over: Partial<AuthorityStatus> = {}): AuthorityStatus => ({
    phase: 'trust',
    root: 'b'.repeat(64),
    old: 'a'.repeat(64),
    hold: false,
    by: 'ann on m1',
    since: '2026-11-28T10:00:00.000Z',
    nodes: [
      {
        name: 'm1',
        trusts: ['a'.repeat(64), 'b'.repeat(64)],
        keys: ['a'.repeat(64)],
        shows: 'a'.repeat(64),
        joining: false,
        silent: false,
      },
      { name: 'm3', trusts: null, keys: null, shows: null, joining: false, silent: true },
    ],
    waits: [],
    next: null,
    ...over,
  });

  test('a new authority: asked for once, its phases and whom it waits for are told until it is through', async () => {
    const waits = [{ node: 'm3', why: 'does not trust the new root yet', silent: true }];
    on.agent.authorities = [
      status({ waits, next: 'bring m3 back' }),
      status({ waits, next: 'bring m3 back' }),
      status({ phase: 'renew' }),
      status({ phase: 'done' }),
    ];
    const done = await on.cli('cluster certificates --renew-ca');
    expect([done.code, on.agent.asked]).toEqual([0, [['renewAuthority', false, 'socket']]]);
    expect(done.err.match(/1 of 3/g)).toHaveLength(1);
    for (const said of ['m3 does not trust the new root yet, and is silent', 'next: bring m3 back', '2 of 3'])
      expect(done.err).toContain(said);
    expect(done.out).toContain('m1    aaaaaaaaaaaa bbbbbbbbbbbb  aaaaaaaaaaaa     aaaaaaaaaaaa');
    expect(done.out).toContain('m3    ?                          ?                ?             silent');
    on.agent.authorities = [status({ waits, next: 'bring m3 back' })];
    const waiting = await on.cli('cluster certificates --renew-ca --timeout 1');
    expect([
      waiting.code,
      waiting.err.includes('it waits: m3 does not trust the new root yet, and is silent'),
    ]).toEqual([5, true]);
    expect((await on.cli('cluster certificates')).out).toContain('waits: m3 does not trust the new root yet');
    on.agent.authorities = [status({ hold: true })];
    expect((await on.cli('cluster certificates --renew-ca --hold')).code).toBe(0);
    for (const wrong of ['--hold', '--renew --renew-ca'])
      expect((await on.cli(`cluster certificates ${wrong}`)).code).toBe(2);
  });

  test('who has only just joined, and has not said yet what it trusts, is waited for; who will not take part is not', async () => {
    const { renewAuthority } = on.agent;
    const refusals = (kind: 'transient' | 'operator', times: number) => {
      let left = times;
      on.agent.renewAuthority = (hold, by) => {
        left -= 1;
        if (left < 0) return renewAuthority.call(on.agent, hold, by);
        throw new AgentError({ class: kind, code: 'authority_not_ready', message: 'm3 does not say it' });
      };
      return () => times - left;
    };
    on.agent.authorities = [status({ phase: 'done' })];
    refusals('transient', 3);
    const done = await on.cli('cluster certificates --renew-ca');
    expect([done.code, done.err.match(/waiting: m3 does not say it\n/g)?.length]).toEqual([0, 1]);
    const asked = refusals('operator', 3);
    expect((await on.cli('cluster certificates --renew-ca')).err).toContain('m3 does not say it');
    expect(asked()).toBe(1);
    refusals('transient', Number.POSITIVE_INFINITY);
    const ended = await on.cli('cluster certificates --renew-ca --timeout 5');
    expect([ended.code, ended.err.match(/m3 does not say it/g)?.length]).toEqual([1, 2]);
  });

  test('when certificates end is told also while Consul says nothing of the authority', async () => {
    on.agent.authorityStatus = async () => {
      throw new AgentError({ class: 'transient', code: 'consul_unknown', message: 'Consul did not confirm' });
    };
    const shown = await on.cli('cluster certificates');
    expect([
      shown.code,
      shown.out.includes('2028-11-22'),
      shown.out.includes('authority: Consul did not confirm'),
    ]).toEqual([0, true, true]);
  });

  test('who takes a node out is told what keeps out a thief', async () => {
    expect((await on.cli('cluster nodes remove m3')).out).toContain('agent cluster certificates --renew-ca');
    on.agent.certificates = () => [];
    expect((await on.cli('cluster nodes remove m3')).out).not.toContain('--renew-ca');
  });

  test('pause, resume and reinit are filed', async () => {
    expect((await on.cli('cluster pause')).out).toBe("paused, until 'agent cluster resume'\n");
    expect((await on.cli('cluster pause --for 10min')).out).toBe('paused for 10 min 0 s\n');
    expect((await on.cli('cluster resume')).out).toBe('resumed\n');
    expect((await on.cli('cluster reinit m3')).code).toBe(0);
    expect(on.agent.asked).toEqual([['pause', null], ['pause', 600_000], ['resume'], ['reinit', 'm3']]);
  });

  test('files status names what is held, and accept carries it out', async () => {
    expect((await on.cli('cluster files status')).out).toContain('resources: 900 of 1000 items were deleted');
    expect((await on.cli('cluster files accept')).out).toBe('900 items are being deleted here, too\n');
    expect(on.agent.asked).toEqual([['acceptDeletions']]);
    const { facts, status } = on.agent.files();
    on.agent.files = () => ({ facts: { ...facts, state: 'off', mode: 'unknown' }, status });
    expect((await on.cli('cluster files status')).out).toBe(
      "no files are replicated: agent.yaml has no 'files.folders', or 'files.enabled' is false\n",
    );
  });

  test('nodes update and maintenance change the options of a node; what is no option is refused', async () => {
    expect((await on.cli('cluster nodes update m3 --priority 50 --nofailover true')).out).toBe(
      'm3: priority 50, nofailover true\n',
    );
    expect((await on.cli('cluster maintenance m3 on')).out).toBe('m3 is in maintenance\n');
    for (const wrong of ['nodes update m3', 'nodes update m3 --priority high', 'maintenance m3 maybe']) {
      expect([wrong, (await on.cli(`cluster ${wrong}`)).code]).toEqual([wrong, 2]);
    }
    expect(on.agent.asked).toEqual([
      ['updateNode', 'm3', { priority: 50, nofailover: true }],
      ['updateNode', 'm3', { maintenance: true }],
    ]);
  });
});

describe('exit codes', () => {
  test('3 outside a cluster', async () => {
    on.agent.clusters = [clusterStatus({ initialized: false })];
    for (const line of ['cluster status', 'cluster nodes list', 'cluster history', 'cluster set-active m2']) {
      const { code, err } = await on.cli(line);
      expect([line, code]).toEqual([line, 3]);
      expect(err).toContain("'agent cluster start'");
    }
    on.agent.refusal = refusal('removed_from_cluster');
    expect((await on.cli('cluster resume')).code).toBe(3);
  });

  test('4 where only the active can do it', async () => {
    on.agent.refusal = refusal('not_cluster_master');
    expect(await on.cli('cluster nodes remove m3')).toEqual({
      code: 4,
      out: '',
      err: 'agent cluster nodes remove: refused: not_cluster_master\n  do this instead\n',
    });
  });

  test('1 without an agent, with what to do; with --json in JSON', async () => {
    const { code, err } = await runAlone(['status', '--socket', '/nowhere/agent.sock']);
    expect([code, err.split('\n')[0]]).toEqual([
      1,
      'agent status: no agent is listening on /nowhere/agent.sock',
    ]);
    const json = await runAlone(['status', '--json', '--socket', '/nowhere/agent.sock']);
    expect(JSON.parse(json.err)).toMatchObject({ error_code: 'agent_not_running' });
  });
});

describe('cluster lease', () => {
  const TRIPLE = { retryPeriod: 3000, renewDeadline: 12_000, leaseDuration: 18_000, fencingTime: 1500 };
  test('show says what holds, who set it, and which files say otherwise', async () => {
    on.agent.leaseNow = { ...on.agent.leaseNow, others: [{ node: 'm3', file: TRIPLE }] };
    const { code, out } = await on.cli('cluster lease show');
    expect(code).toBe(0);
    expect(out).toMatch(/lease times +1\/4\/6 s, fencing 1.5 s/);
    expect(out).toMatch(/set +version 2, by socket, 2026-01-02/);
    expect(out).toMatch(/other files +m3: 3\/12\/18 s/);
    expect(JSON.parse((await on.cli('cluster lease show --json')).out)).toEqual(on.agent.leaseNow);
  });
  test('set sends what was given, in milliseconds', async () => {
    expect((await on.cli('cluster lease set --preset fast --multiplier 2.5')).code).toBe(0);
    expect((await on.cli('cluster lease set --renew-deadline 8 --lease-duration 12.5s')).code).toBe(0);
    expect(on.agent.asked).toEqual([
      ['setLease', { preset: 'fast', multiplier: 2.5 }, 'socket'],
      ['setLease', { renewDeadline: 8000, leaseDuration: 12_500 }, 'socket'],
    ]);
  });
  test.each([
    '',
    '--preset slow',
    '--multiplier 0',
    '--multiplier x',
    '--multiplier 1e1',
    '--retry-period soon',
    '--what 1',
  ])('set %p is refused before anything is asked', async (words) => {
    const { code, err } = await on.cli(`cluster lease set ${words}`.trim());
    expect([code, err.length > 0]).toEqual([2, true]);
    expect(on.agent.asked).toEqual([]);
  });
  test('status and cluster status say when a file says otherwise, and nothing when none does', async () => {
    expect((await on.cli('status')).out).not.toContain('lease times');
    expect((await on.cli('cluster status')).out).not.toContain('lease times');
    on.agent.statusNow = agentStatus({ leaseNote: 'lease times of this file differ' });
    const lease = { ...on.agent.leaseNow, others: [{ node: 'm3', file: TRIPLE }] };
    on.agent.cluster = async () => clusterStatus({ lease });
    expect((await on.cli('status')).out).toContain(
      "lease times of this file differ; change with 'agent cluster lease set'",
    );
    expect((await on.cli('cluster status')).out).toContain('the file of m3 says 3/12/18 s');
  });
  test('doctor says so too, and nothing where no agent answers', async () => {
    on.agent.statusNow = agentStatus({ leaseNote: 'lease times of this file differ' });
    const { out } = await on.cli('doctor --json');
    expect(JSON.parse(out)).toContainEqual({
      id: 'lease_times',
      state: 'warn',
      what: 'lease times of this file differ',
      mend: expect.stringContaining("'agent cluster lease set'"),
    });
    const alone = await runAlone(['doctor', '--json', '--socket', '/nowhere/agent.sock']);
    expect(alone.out).toStartWith('[');
    expect(alone.out).not.toContain('lease_times');
  });
});
