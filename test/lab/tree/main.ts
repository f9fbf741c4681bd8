/** Builds the base tree of the lab, if it is not there: `npm test` does so while other stages run. */
import { ensureTree } from './tree.ts';

console.log(`the base tree: ${await ensureTree((line) => console.log(line))}`);
