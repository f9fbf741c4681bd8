/** A driver that does what the test says, behind a real helper on a real socket. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Outcome, PgFacts } from '../../../agent/core/postgres.ts';
import type { Postgres, Progress } from '../../../agent/roles/postgres/port.ts';
import { createHelperClient, unknownFacts } from '../../../agent/roles/postgres_helper/client.ts';
import { type Helper, serveHelper } from '../../../agent/roles/postgres_helper/server.ts';

export type Copy = {
  progress: Progress;
  signal: AbortSignal;
  end(outcome: Outcome): void;
};

const done = { kind: 'done' } as const;

export class FakeDriver {
  /** Calls in the order they came in, with their arguments. */
  readonly calls: [string, ...unknown[]][] = [];
  readonly copies: Copy[] = [];
  facts: PgFacts = { ...unknownFacts, data: 'ok' };
  /** When set, calls wait for it. */
  hold: Promise<void> | null = null;
  /** When set, a cancelled copy takes as long to end. */
  ending: Promise<void> | null = null;
  lost = () => {};
  /** How often whoever asked was gone. */
  abandoned = 0;

  readonly port: Postgres = {
    facts: async () => {
      await this.hold;
      return this.facts;
    },
    missingLocales: async (locales) => [...locales],
    inspect: async () => ({ empty: true, version: null, systemId: null }),
    holdSettings: (ms) => this.#note('holdSettings', ms),
    preflight: async () => [{ id: 'data_directory', state: 'ok', what: 'empty', mend: '' }],
    adopt: () => this.#note('adopt'),
    rehearse: () => this.#note('rehearse'),
    wipe: () => this.#note('wipe'),
    setCertificates: (all) => this.#note('setCertificates', all),
    startStandby: (ms) => this.#note('startStandby', ms),
    startPrimary: (ms) => this.#note('startPrimary', ms),
    stop: async (mode, ms, thenStandby) => {
      await this.#note('stop', mode, ms, thenStandby);
      return { kind: 'stopped', clean: true, checkpoint: 2n ** 60n + 1n, timeline: 3 };
    },
    checkpoint: (ms) => this.#note('checkpoint', ms),
    promote: (ms) => this.#note('promote', ms),
    setUpstream: (upstream, ms) => this.#note('setUpstream', upstream, ms),
    setIdentity: async (name) => {
      await this.#note('setIdentity', name);
    },
    setSyncList: (list, ms) => this.#note('setSyncList', list, ms),
    replication: async () => null,
    position: async () => null,
    fence: (ms) => this.#note('fence', ms),
    unfence: (ms) => this.#note('unfence', ms),
    ensureReplicationRole: (ms) => this.#note('ensureReplicationRole', ms),
    ensureSlots: (nodes, ms) => this.#note('ensureSlots', nodes, ms),
    advanceSlots: (ms) => this.#note('advanceSlots', ms),
    history: async () => {
      throw new Error('the disk is on fire');
    },
    reserveTimelines: (next) => this.#note('reserveTimelines', next),
    basebackup: (from, progress, signal) => this.#copy('basebackup', from, progress, signal),
    rewind: (from, progress, signal) => this.#copy('rewind', from, progress, signal),
    saveDivergence: (request) => this.#note('saveDivergence', request),
    onLost: (callback) => {
      this.lost = callback;
    },
    abandon: () => {
      this.abandoned++;
    },
    close: async () => {
      this.calls.push(['close']);
    },
  };

  async #note(...call: [string, ...unknown[]]): Promise<Outcome> {
    this.calls.push(call);
    await this.hold;
    return done;
  }

  #copy(method: string, from: unknown, progress: Progress, signal: AbortSignal): Promise<Outcome> {
    this.calls.push([method, from]);
    return new Promise((end) => {
      this.copies.push({ progress, signal, end });
      const cancelled = async () => {
        await this.ending;
        end({ kind: 'failed', why: 'cancelled' });
      };
      signal.addEventListener('abort', () => void cancelled(), { once: true });
    });
  }
}

export type Stage = {
  driver: FakeDriver;
  socketPath: string;
  helper: Helper;
  outdated: number;
  /** Another agent on the same helper. */
  agent(said?: string[]): Postgres;
  restart(): Promise<void>;
  end(): Promise<void>;
};

export async function stage(patience = 60_000): Promise<Stage> {
  const dir = mkdtempSync(join(tmpdir(), 'agent-helper-'));
  const socketPath = join(dir, 'helper.sock');
  const driver = new FakeDriver();
  const agents: Postgres[] = [];
  const serve = () =>
    serveHelper({
      socketPath,
      say: () => {},
      outdated: () => made.outdated++,
      driverFor: (names) => ({ key: names.node, make: () => driver.port }),
      patience,
    });
  const made: Stage = {
    driver,
    socketPath,
    helper: await serve(),
    outdated: 0,
    agent(said = []) {
      const names = { node: 'n1', hostIp: '127.0.0.1', publicIp: null };
      const agent = createHelperClient({ socketPath, names, say: (line) => said.push(line) });
      agents.push(agent);
      return agent;
    },
    async restart() {
      await made.helper.close();
      made.helper = await serve();
    },
    async end() {
      await Promise.all(agents.map((agent) => agent.close()));
      await made.helper.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
  return made;
}

/** Asks every 2 ms until it holds; throws with `what` after three seconds. */
export async function eventually(what: string, probe: () => boolean): Promise<void> {
  for (const end = performance.now() + 3000; !probe(); ) {
    if (performance.now() > end) throw new Error(`never: ${what}`);
    await new Promise((again) => setTimeout(again, 2));
  }
}
