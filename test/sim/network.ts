/** Who can send to whom, how long it takes, and which side of a cut has Consul's quorum. */
import type { Random } from './random.ts';

export class Network {
  /** cut[a][b]: nothing gets from a to b. */
  private cut: boolean[][];
  /** Extra delay of everything a node sends or receives. */
  readonly slow: number[];
  private listeners: (() => void)[] = [];
  readonly size: number;
  private random: Random;

  constructor(size: number, random: Random) {
    this.size = size;
    this.random = random;
    this.cut = Array.from({ length: size }, () => new Array<boolean>(size).fill(false));
    this.slow = new Array<number>(size).fill(0);
  }

  onChange(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** One direction. TCP needs both to make progress; a chunk under way needs only this one. */
  passes(from: number, to: number): boolean {
    return from === to || !(this.cut[from] as boolean[])[to];
  }

  both(a: number, b: number): boolean {
    return this.passes(a, b) && this.passes(b, a);
  }

  delay(from: number, to: number): number {
    const base = from === to ? 0.05 : this.random.skewed(0.2, 3);
    return base + (this.slow[from] as number) + (this.slow[to] as number);
  }

  set(from: number, to: number, isCut: boolean): void {
    (this.cut[from] as boolean[])[to] = isCut;
    for (const listener of this.listeners) listener();
  }

  isolate(nodes: number[]): void {
    for (let a = 0; a < this.size; a += 1) {
      for (let b = 0; b < this.size; b += 1) {
        if (nodes.includes(a) !== nodes.includes(b)) (this.cut[a] as boolean[])[b] = true;
      }
    }
    for (const listener of this.listeners) listener();
  }

  heal(): void {
    for (const row of this.cut) row.fill(false);
    this.slow.fill(0);
    for (const listener of this.listeners) listener();
  }
}
