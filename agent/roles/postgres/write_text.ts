import { PRIVATE, writeDurably } from '../../platform/files.ts';
import { readText } from './read_text.ts';

/**
 * Durably replaces a file that holds something else. One that holds this already was made durable when it was
 * written.
 */
export async function writeText(path: string, text: string): Promise<void> {
  if ((await readText(path)) !== text) writeDurably(path, text, PRIVATE);
}
