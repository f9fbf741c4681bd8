/** Every key of agent.yaml that holds a value of its own, found in the schema itself. */
import { fileSchema } from './schema.ts';

export interface Leaf {
  /** `*` stands for any position of a list and any name of a map. */
  readonly path: readonly string[];
  /**
   * Does it take any text? Then what is written is meant as it stands, also where YAML would read a number.
   */
  readonly text: boolean;
}

/** What of valibot's schemas is looked at. */
interface Node {
  readonly type: string;
  readonly wrapped?: Node;
  readonly pipe?: readonly Node[];
  readonly entries?: Readonly<Record<string, Node>>;
  readonly options?: readonly Node[];
  readonly item?: Node;
  readonly value?: Node;
}

const isText = ({ type, options }: Node): boolean =>
  type === 'string' || (type === 'union' && (options ?? []).some(isText));

/** The schema and what its pipes are made of. */
const parts = (node: Node): readonly Node[] => [
  node,
  ...(node.pipe ?? []).flatMap((part) => (part === node ? [] : parts(part))),
];

function below(node: Node, path: readonly string[]): Leaf[] {
  // Known only to be refused.
  if (node.type === 'never') return [];
  if (node.wrapped !== undefined) return below(node.wrapped, path);
  const all = parts(node);
  const entries = all.find((part) => part.entries !== undefined)?.entries;
  if (entries !== undefined)
    return Object.entries(entries).flatMap(([key, child]) => below(child, [...path, key]));
  const many = all.find(({ item, type, value }) => item ?? (type === 'record' ? value : undefined));
  const one = many?.item ?? many?.value;
  return one === undefined ? [{ path, text: all.some(isText) }] : below(one, [...path, '*']);
}

export const leaves = (): readonly Leaf[] => below(fileSchema as unknown as Node, []);

/**
 * Does this place of the file take any text? `keys`: `*` for a position in a list; a name may be dotted, as
 * options write it.
 */
export function takesText(keys: readonly string[]): boolean {
  const path = keys.join('.').split('.');
  return leaves().some((leaf) => {
    if (!leaf.text) return false;
    const last = leaf.path.length - 1;
    // Names of settings may hold a dot themselves: the last `*` stands for all that is left.
    const rest = leaf.path[last] === '*' ? path.length > last : path.length === leaf.path.length;
    return rest && leaf.path.every((key, index) => key === '*' || key === path[index]);
  });
}
