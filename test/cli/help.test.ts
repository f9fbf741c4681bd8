import { describe, expect, test } from 'bun:test';
import { allWords } from '../../cli/completion.ts';
import { root } from '../../cli/tree.ts';
import { runAlone } from './harness.ts';

const help = async (...argv: string[]) => {
  const { code, out, err } = await runAlone([...argv, '--help']);
  expect([code, err]).toEqual([0, '']);
  return `\n${out.replace(/ v\d+\.\d+\.\d+/, ' vVERSION')}`;
};

describe('help', () => {
  test('agent', async () =>
    expect(await help()).toMatchInlineSnapshot(`
    "
    one active and its standbys out of three or more managers (agent vVERSION)

    USAGE agent run|status|logs|cluster|doctor|hash-password|install|uninstall|teardown|dev|completion

    COMMANDS

                run    run the agent of this manager (under systemd, or in a terminal)
             status    this manager's role, database, services and checks
               logs    the agent's log, newest last
            cluster    make, enter, watch and steer the cluster
             doctor    what is missing or wrong on this machine, and how to fix it
      hash-password    make the password_hash for a user under 'api.users' from a password on standard input
            install    prepare this manager: users, folders, units, sudo, rules; may be run again, also to upgrade
          uninstall    remove what install made; never the database
           teardown    make this manager a stand-alone one again: its data, its own units and settings, no cluster
                dev    a cluster of managers on this machine, in one folder, without root
         completion    shell completion of commands and options, to be sourced

    Use agent <command> --help for more information about a command.
    "
  `));
  test('agent cluster', async () =>
    expect(await help('cluster')).toMatchInlineSnapshot(`
    "
    make, enter, watch and steer the cluster (agent cluster)

    USAGE agent cluster start|join|status|nodes|files|lease|token|set-active|history|pause|resume|maintenance|reinit|certificates

    COMMANDS

             start    create a cluster with this manager as its first active; its data is kept
              join    bring this manager, which must be empty, into a cluster as a standby
            status    the cluster as a whole: who is active, what confirms commits, what it survives
             nodes    the managers of the cluster
             files    the replicated files of this manager
             lease    the lease's times, which every node goes by
             token    join tokens: each lets one manager in, once
        set-active    switch over: make another manager the active, without losing a write
           history    who was active, since when, why, and what each change cost
             pause    no automatic role change until resumed; the active stays as long as its lease can be renewed
            resume    end a pause: role changes are automatic again
       maintenance    leave a node alone while it is being worked on; it does not become the active meanwhile
            reinit    discard a standby's database and copy it again from the active
      certificates    when certificates expire, and who trusts which root; renew them, or the cluster's authority, without a role change

    Use agent cluster <command> --help for more information about a command.
    "
  `));
  test('agent cluster join', async () =>
    expect(await help('cluster', 'join')).toMatchInlineSnapshot(`
    "
    bring this manager, which must be empty, into a cluster as a standby (agent cluster join)

    USAGE agent cluster join [OPTIONS] <ADDRESS>...

    ARGUMENTS

      ADDRESS    a manager of the cluster, HOST or HOST:PORT; several may be given (Required)

    OPTIONS

                        --token=<T>    '-' reads a join token from standard input; else it is in $AGENT_JOIN_TOKEN
             --cluster-host-ip=<IP>    the address of this manager in the cluster; default: host_ip of the configuration
         --cluster-node-name=<NAME>    the name of this manager in the cluster; default: node_name of the configuration
      --options=<K=V;K=V|FILE|JSON>    settings that override the configuration; may be repeated
                --timeout=<SECONDS>    how long to wait (Default: 900)
                    --config=<PATH>    configuration; else $AGENT_CONFIG, /etc/cloudify/agent.yaml
                    --socket=<PATH>    the agent's socket; default: $AGENT_SOCKET, or as configured
                             --json    print JSON
                          --verbose    show more: calls, causes, details
                         -h, --help    show this help

    EXAMPLES

      ssh m1 agent cluster token create | agent cluster join --token - --cluster-host-ip 10.0.0.12 --cluster-node-name m2 10.0.0.11
      AGENT_JOIN_TOKEN=TOKEN agent cluster join 10.0.0.11
    "
  `));
  test('agent cluster nodes list', async () =>
    expect(await help('cluster', 'nodes', 'list')).toMatchInlineSnapshot(`
      "
      every manager of the cluster, its role, its checks, and how far it is behind (agent cluster nodes list)

      USAGE agent cluster nodes list [OPTIONS]

      OPTIONS

            -w, --watch    show it anew each second, until interrupted
        --config=<PATH>    configuration; else $AGENT_CONFIG, /etc/cloudify/agent.yaml
        --socket=<PATH>    the agent's socket; default: $AGENT_SOCKET, or as configured
                 --json    print JSON
              --verbose    show more: calls, causes, details
             -h, --help    show this help

      EXAMPLES

        agent cluster nodes list
        agent cluster nodes list --watch
      "
    `));
  test('agent cluster set-active', async () =>
    expect(await help('cluster', 'set-active')).toMatchInlineSnapshot(`
      "
      switch over: make another manager the active, without losing a write (agent cluster set-active)

      USAGE agent cluster set-active [OPTIONS] <NAME>

      ARGUMENTS

        NAME    the node to become the active (Required)

      OPTIONS

        --timeout=<SECONDS>    how long to wait (Default: 60)
            --config=<PATH>    configuration; else $AGENT_CONFIG, /etc/cloudify/agent.yaml
            --socket=<PATH>    the agent's socket; default: $AGENT_SOCKET, or as configured
                     --json    print JSON
                  --verbose    show more: calls, causes, details
                 -h, --help    show this help

      EXAMPLE

        agent cluster set-active m2
      "
    `));
  test('agent run', async () =>
    expect(await help('run')).toMatchInlineSnapshot(`
    "
    run the agent of this manager (under systemd, or in a terminal) (agent run)

    USAGE agent run [OPTIONS]

    OPTIONS

      --config=<PATH>    configuration; else $AGENT_CONFIG, /etc/cloudify/agent.yaml
      --socket=<PATH>    the agent's socket; default: $AGENT_SOCKET, or as configured
               --json    print JSON
            --verbose    show more: calls, causes, details
           -h, --help    show this help

    EXAMPLE

      agent run --config /etc/cloudify/agent.yaml
    "
  `));

  test('every command has help with an example', async () => {
    const all = await allWords(root);
    const leaves = all.filter(({ words }) => words.every((word) => word.startsWith('--')));
    for (const { path } of leaves) {
      const text = await help(...path.split(' ').slice(1));
      expect([path, /example/i.test(text)]).toEqual([path, true]);
    }
    expect(leaves.length).toBeGreaterThan(15);
  });

  test('--help wins over wrong arguments, but not what stands after --', async () => {
    expect((await runAlone(['cluster', 'set-active', '-h'])).code).toBe(0);
    expect((await runAlone(['cluster', 'set-active', '--', 'a', '--help'])).code).toBe(2);
  });
});

describe('completion', () => {
  test('bash offers the commands of a group and the options of a command', async () => {
    const { out } = await runAlone(['completion', 'bash']);
    const ask = (line: string) => {
      const words = line.split(' ');
      const script = `${out}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _agent; echo "\${COMPREPLY[*]}"`;
      return Bun.spawnSync(['bash', '-c', script]).stdout.toString().trim();
    };
    expect(ask('agent cl')).toBe('cluster');
    expect(ask('agent cluster nodes ')).toBe('list get update remove');
    expect(ask('agent cluster set-active m2 --t')).toBe('--timeout');
  });

  test('zsh and fish get their own', async () => {
    expect((await runAlone(['completion', 'zsh'])).out).toStartWith('#compdef agent\n');
    const { out } = await runAlone(['completion', 'fish']);
    expect(out).toContain("-n '__fish_seen_subcommand_from cluster; and __fish_seen_subcommand_from nodes;");
  });
});
