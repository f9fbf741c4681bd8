/**
 * The phases of a new authority, without files: a cluster of small models that stop, lag and come back as
 * they like.
 */
import { describe, expect, test } from 'bun:test';
import {
  type AuthorityMember,
  type AuthorityReport,
  type Held,
  nextStep,
  notReady,
  type Phase,
  phaseAfter,
  type Step,
  waitsFor,
} from '../../agent/security/authority.ts';

const [OLD, NEW, THIRD] = ['a', 'b', 'c'].map((letter) => letter.repeat(64)) as [string, string, string];

const held = (over: Partial<Held> = {}): Held => ({
  fresh: NEW,
  roots: [OLD],
  keys: [OLD],
  signing: OLD,
  issuers: [OLD, OLD, OLD],
  inUse: true,
  ...over,
});
const report = (over: Partial<AuthorityReport> = {}): AuthorityReport => ({
  trusts: [OLD],
  keys: [OLD],
  shows: OLD,
  seal: 'QQ==',
  ...over,
});
const next = (phase: Phase, over: Partial<Held> = {}) => nextStep({ phase, old: OLD }, held(over));

describe('a node', () => {
  const both = { roots: [OLD, NEW] };
  const keys = { ...both, keys: [OLD, NEW] };
  const signs = { roots: [NEW, OLD], keys: [NEW, OLD], signing: NEW };
  const certified = { ...signs, issuers: [NEW, NEW, NEW] };

  test('does one thing after the other, each phase as far as it goes', () => {
    expect(next('trust')).toBe('trust');
    expect(next('trust', { ...both, inUse: false })).toBe('apply');
    expect(next('trust', both)).toBe('key');
    expect(next('trust', keys)).toBeNull();
    expect(next('renew', keys)).toBe('sign');
    expect(next('renew', signs)).toBe('certify');
    expect(next('renew', { ...certified, inUse: false })).toBe('apply');
    expect(next('renew', certified)).toBeNull();
    expect(next('drop', certified)).toBe('drop');
    expect(next('drop', { ...certified, roots: [NEW], inUse: false })).toBe('apply');
    expect(next('drop', { ...certified, roots: [NEW] })).toBe('forget');
    expect(next('drop', { ...certified, roots: [NEW], keys: [NEW] })).toBeNull();
  });

  test('never signs with the new root, nor shows it, while that is only being trusted', () => {
    for (const inUse of [true, false])
      for (const have of [{}, both, keys]) {
        const step = next('trust', { ...have, inUse });
        expect(['trust', 'apply', 'key', null]).toContain(step);
      }
  });

  test('that is not enrolled trusts the new root and signs nothing', () => {
    const joiner = { keys: [], signing: '' };
    expect(next('trust', joiner)).toBe('trust');
    for (const phase of ['trust', 'renew', 'drop'] as const)
      expect(next(phase, { ...both, ...joiner })).toBeNull();
  });

  test('whose certificate and key do not fit makes them anew', () => {
    expect(next('renew', { ...certified, issuers: [NEW, null, NEW] })).toBe('certify');
  });

  test('that keeps a root of the time before last drops it before anything else', () => {
    expect(next('trust', { roots: [OLD, THIRD, NEW], keys: [OLD, THIRD, NEW] })).toBe('drop');
  });
});

describe('the cluster goes on', () => {
  const member = (
    name: string,
    over: Partial<AuthorityReport> | null,
    more: Partial<AuthorityMember> = {},
  ): AuthorityMember => ({
    name,
    report: over === null ? undefined : report(over),
    ...more,
  });
  const waits = (phase: Phase, ...members: AuthorityMember[]) =>
    waitsFor(phase, NEW, members).map(({ node }) => node);

  test('from trust once everybody trusts both and holds the key', () => {
    const ready = { trusts: [OLD, NEW], keys: [OLD, NEW] };
    expect(waits('trust', member('m1', ready), member('m2', ready))).toEqual([]);
    expect(waits('trust', member('m1', ready), member('m2', { trusts: [OLD, NEW] }))).toEqual(['m2']);
    expect(waits('trust', member('m1', ready), member('m2', {}))).toEqual(['m2']);
    expect(waits('trust', member('m1', ready), member('m2', { keys: [OLD, NEW] }))).toEqual(['m2']);
    expect(waits('trust', member('m1', ready), member('m2', null))).toEqual(['m2']);
    expect(waits('trust', member('m1', ready), member('m3', null, { joining: true }))).toEqual(['m3']);
    expect(waits('trust', member('m1', ready, { leaving: true }))).toEqual(['m1']);
  });

  test('from renew once everybody shows the new one; it is through once the old one is trusted by nobody and its key gone', () => {
    expect(
      waits('renew', member('m1', { shows: NEW }), member('m2', { shows: null }), member('m3', {})),
    ).toEqual(['m2', 'm3']);
    const dropped = { trusts: [NEW], shows: NEW };
    expect(waits('drop', member('m1', { ...dropped, keys: [NEW] }), member('m2', dropped))).toEqual(['m2']);
    expect(waits('drop', member('m1', { ...dropped, trusts: [NEW, OLD], keys: [NEW] }))).toEqual(['m1']);
  });

  test('and is not begun over members that say nothing, show another root, or are joining', () => {
    const not = (...members: AuthorityMember[]) => notReady(OLD, members, '0.2.0').map(({ node }) => node);
    expect(not(member('m1', {}), member('m2', {}))).toEqual([]);
    expect(not(member('m1', {}), member('m2', null), member('m3', { shows: THIRD }))).toEqual(['m2', 'm3']);
    expect(not(member('m1', {}), member('m2', null, { joining: true }))).toEqual(['m2']);
    // Of this version it will say it; of another one it may never.
    const silent = (version?: string) => notReady(OLD, [member('m2', null, { version })], '0.2.0')[0];
    expect(silent('0.2.0')).toEqual({
      node: 'm2',
      why: 'does not say which roots it trusts yet',
      soon: true,
    });
    expect(silent('0.1.0')?.why).toBe(
      'does not say which roots it trusts: its agent is 0.1.0, this one 0.2.0',
    );
    expect([silent('0.1.0')?.soon, silent()?.soon]).toEqual([undefined, undefined]);
  });
});

/** Numbers below `below`, the same for the same seed. */
function dice(seed: number) {
  let state = seed >>> 0;
  return (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** One node: its files, what its running servers were given last, and what its record says. */
class Model {
  files: Held = held({ inUse: false });
  used: { trusts: string[]; shows: string | null } = { trusts: [OLD], shows: OLD };
  told: AuthorityReport = report();
  away = false;
  known = true;

  look(phase: Phase): Step | null {
    return nextStep({ phase, old: OLD }, { ...this.files, inUse: this.known });
  }
  do(step: Step, phase: Phase): void {
    const { files } = this;
    const change: Record<Exclude<Step, 'apply'>, () => Partial<Held>> = {
      trust: () => ({ roots: [...files.roots, NEW] }),
      key: () => ({ keys: [...files.keys, NEW] }),
      sign: () => ({ signing: NEW, roots: [NEW, OLD], keys: [NEW, OLD] }),
      certify: () => ({ issuers: [files.signing, files.signing, files.signing] }),
      drop: () => ({ roots: files.roots.filter((root) => phase !== 'drop' || root === NEW) }),
      forget: () => ({ keys: [NEW] }),
    };
    if (step === 'apply') {
      this.used = { trusts: [...files.roots], shows: files.issuers[0] ?? null };
      this.known = true;
      return;
    }
    this.files = { ...files, ...change[step]() };
    if (step !== 'key' && step !== 'forget') this.known = false;
  }
  /** The agent ends; its servers go on, or begin anew with what is in the files. */
  crash(serversToo: boolean): void {
    if (serversToo) this.used = { trusts: [...this.files.roots], shows: this.files.issuers[0] ?? null };
    this.known = false;
    this.away = true;
  }
  tell(): void {
    if (this.known) this.told = report({ ...this.used, keys: [...this.files.keys] });
  }
}

test('whatever ends, lags or is away: each node always trusts what each other one shows, and it comes to its end', () => {
  for (let seed = 1; seed <= 400; seed++) {
    const roll = dice(seed);
    const nodes = [new Model(), new Model(), new Model()];
    let phase: Phase = 'trust';
    const members = () => nodes.map(({ told }, at): AuthorityMember => ({ name: `m${at}`, report: told }));
    const safe = () => {
      const bad = nodes.some((one) => nodes.some(({ used }) => !one.used.trusts.includes(used.shows ?? '')));
      if (bad)
        throw new Error(
          `seed ${seed}: a node does not trust what another one shows: ${JSON.stringify(nodes)}`,
        );
    };
    const through = () => phase === 'drop' && waitsFor('drop', NEW, members()).length === 0;
    for (let turn = 0; turn < 3000 && !through(); turn++) {
      const node = nodes[roll(3)] as Model;
      const what = roll(12);
      if (what === 0) node.crash(roll(2) === 0);
      else if (what <= 2) node.away = false;
      else if (what <= 4) {
        if (!node.away) node.tell();
      } else if (what === 5) {
        // The active, whoever that is; more than one at once would do the same.
        if (phase !== 'drop' && waitsFor(phase, NEW, members()).length === 0) phase = phaseAfter(phase);
      } else if (!node.away) {
        const step = node.look(phase);
        if (step !== null) node.do(step, phase);
      }
      safe();
    }
    expect([seed, through()]).toEqual([seed, true]);
    for (const { files, used } of nodes) {
      expect([files.roots, files.keys, used.trusts, used.shows]).toEqual([[NEW], [NEW], [NEW], NEW]);
    }
  }
});
