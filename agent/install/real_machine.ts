import type { Machine } from './machine.ts';
import { realHand } from './real_hand.ts';
import { realSight } from './real_sight.ts';

/** This machine. Its acting side needs root. */
export const realMachine: Machine = { ...realSight, ...realHand };
