/**
 * YAML as plain data, with values as they stand where a text is meant: `0640` and `4.10` are no numbers
 * there.
 */

import { type Document, isPair, isScalar, isSeq, parseDocument, Scalar, visit } from 'yaml';
import { messageOf } from '../errors.ts';
import { takesText } from './leaves.ts';

/** Below these keys. */
type Place = readonly string[];

/** What is wrong, in one line, with the place in the text. */
export class YamlError extends Error {
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join('; '));
    this.problems = problems;
  }
}

/** Says what it is about, and not which part of a library should have been used. */
const inWords = (message: string): string =>
  (message.split('\n')[0] ?? message)
    .replace(/; please use .*?(?= at line|$)/, ', and must be one')
    .replace(/^Unresolved alias .*: (.*)$/, "'*$1' refers to an anchor '&$1', and there is none")
    .replace(/:$/, '');

function asWritten(document: Document, place: Place): void {
  /** Which position of a list it is does not matter. */
  const here = (path: readonly unknown[]): string[] => [
    ...place,
    ...path.flatMap((node) => {
      if (isSeq(node)) return ['*'];
      return isPair(node) && isScalar(node.key) ? [String(node.key.value)] : [];
    }),
  ];
  // Each place has a value of its own first: what is a text at one may be a number at another.
  visit(document, {
    Alias(_, node) {
      const named = node.resolve(document);
      if (!isScalar(named)) return undefined;
      const own = new Scalar(named.value);
      if (named.source !== undefined) own.source = named.source;
      return own;
    },
  });
  visit(document, {
    Scalar(key, node, path) {
      const read = typeof node.value === 'number' || typeof node.value === 'boolean';
      if (key !== 'key' && read && node.source !== undefined && takesText(here(path)))
        node.value = node.source;
    },
  });
}

/**
 * JSON is YAML too. Duplicate keys and syntax errors throw YamlError. `place`: where it will stand in
 * agent.yaml.
 */
export function plainYaml(text: string, place: Place = []): unknown {
  const document = parseDocument(text, { uniqueKeys: true, prettyErrors: true });
  const wrong = [...document.errors, ...document.warnings.filter(({ code }) => code === 'BAD_DIRECTIVE')];
  if (wrong.length > 0) throw new YamlError(wrong.map(({ message }) => inWords(message)));
  try {
    asWritten(document, place);
    return document.toJS() as unknown;
  } catch (thrown) {
    // An alias of nothing, or one that grows without end.
    throw new YamlError([inWords(messageOf(thrown))]);
  }
}
