/** Several certificates, or keys, in one PEM text. */

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[^-]+-----END \1-----\r?\n?/g;

/** Each block by itself, in order, with a line's end at its end. */
export const pemBlocks = (text: string): string[] =>
  (text.match(BLOCK) ?? []).map((block) => `${block.trimEnd()}\n`);

export const pemText = (blocks: readonly string[]): string => blocks.join('');
