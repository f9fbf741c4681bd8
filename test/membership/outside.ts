/**
 * Every call that leaves the agent, in order and by name; one of them can be made to go wrong, and the
 * process with it.
 */
import { AgentError } from '../../agent/errors.ts';

/**
 * `dies before`, `dies after`: the process ends, without the call or with it. `fails`: it did nothing and
 * throws. `no reply`: it was done, and the caller hears nothing but that. The process lives on after these.
 */
export const MISHAPS = ['dies before', 'dies after', 'fails', 'no reply'] as const;
export type Mishap = (typeof MISHAPS)[number];

const silence = () => new AgentError({ class: 'transient', code: 'member_silent', message: 'no reply came' });

export class Outside {
  readonly calls: string[] = [];
  dead = false;
  /** Resolves when the process dies. */
  readonly died: Promise<void>;
  #die: () => void = () => {};
  readonly #at: { call: number; mishap: Mishap } | undefined;

  constructor(at?: { call: number; mishap: Mishap }) {
    this.#at = at;
    this.died = new Promise((done) => {
      this.#die = done;
    });
  }

  /** `methods` are those that leave the agent; the others only look. Those of `sync` answer at once. */
  wrap<T extends object>(
    name: string,
    target: T,
    methods: readonly string[],
    { sync = false, unknown }: { sync?: boolean; unknown?: unknown } = {},
  ): T {
    return new Proxy(target, {
      get: (object, key) => {
        const value = Reflect.get(object, key) as unknown;
        if (typeof value !== 'function' || !methods.includes(String(key))) return value;
        const body = value.bind(object) as (...args: unknown[]) => unknown;
        const called = `${name}.${String(key)}`;
        if (sync) return (...args: unknown[]) => this.#now(called, () => body(...args));
        return (...args: unknown[]) => this.#later(called, async () => await body(...args), unknown);
      },
    });
  }

  #due(name: string): Mishap | undefined {
    this.calls.push(name);
    return this.#at?.call === this.calls.length - 1 ? this.#at.mishap : undefined;
  }

  #end(): void {
    this.dead = true;
    this.#die();
  }

  #now(name: string, body: () => unknown): unknown {
    if (this.dead) throw new Error('the process is dead');
    const mishap = this.#due(name);
    if (mishap === 'fails') throw new Error(`${name} failed`);
    const done = mishap === 'dies before' ? undefined : body();
    if (mishap === 'dies before' || mishap === 'dies after') this.#end();
    if (mishap !== undefined) throw new Error(`${name} broke off`);
    return done;
  }

  async #later(name: string, body: () => Promise<unknown>, unknown: unknown): Promise<unknown> {
    if (this.dead) return await new Promise(() => {});
    const mishap = this.#due(name);
    if (mishap === 'fails') {
      if (unknown !== undefined) return unknown;
      throw name.startsWith('calls.') ? silence() : new Error(`${name} failed`);
    }
    const done = mishap === 'dies before' ? undefined : await body();
    if (mishap === 'dies before' || mishap === 'dies after') {
      this.#end();
      return await new Promise(() => {});
    }
    if (mishap === 'no reply') {
      if (unknown !== undefined) return unknown;
      throw name.startsWith('calls.') ? silence() : new Error(`${name}: no reply`);
    }
    return done;
  }
}

/** Time that passes as soon as somebody waits for it. */
export function hurriedTime() {
  let now = 0;
  return {
    now: () => now,
    async sleep(ms: number): Promise<void> {
      now += ms;
      await new Promise((done) => setImmediate(done));
    },
  };
}
