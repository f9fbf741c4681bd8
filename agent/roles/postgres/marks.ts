/** A mark beside the data directory that a rewind began to write into it and did not end. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PRIVATE, removeDurably, writeDurably } from '../../platform/files.ts';
import type { PgOptions } from './options.ts';

const path = (o: PgOptions): string => join(o.confDir, 'half_rewound');

export const hasMark = (o: PgOptions): boolean => existsSync(path(o));
export const setMark = (o: PgOptions, why: string): void => writeDurably(path(o), `${why}\n`, PRIVATE);
export const clearMark = (o: PgOptions): void => removeDurably(path(o));
