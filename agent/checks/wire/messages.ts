/**
 * The few messages of PostgreSQL's protocol (version 3) that a check needs. A library's connection costs
 * several times the processor time of this, every second; and a hung server needs a socket that can be
 * destroyed.
 */
import { Buffer } from 'node:buffer';

const NUL = '\0';

/** A message of the client: type, length, text. */
function message(type: string, body: string): Buffer {
  const text = Buffer.from(body);
  const out = Buffer.allocUnsafe(5 + text.length);
  out.write(type, 0, 'latin1');
  out.writeInt32BE(4 + text.length, 1);
  text.copy(out, 5);
  return out;
}

/** The first message of a connection; `parameters` are run-time settings and user, database. */
export function startup(parameters: Readonly<Record<string, string>>): Buffer {
  const pairs = Object.entries(parameters).map(([name, value]) => name + NUL + value + NUL);
  const body = Buffer.from(pairs.join('') + NUL);
  const out = Buffer.allocUnsafe(8 + body.length);
  out.writeInt32BE(out.length, 0);
  out.writeInt32BE(3 << 16, 4);
  body.copy(out, 8);
  return out;
}

export const query = (text: string): Buffer => message('Q', text + NUL);
export const terminate: Buffer = message('X', '');

/** An error that the server reported. */
export class ServerError extends Error {
  override readonly name: string = 'ServerError';
  /** SQLSTATE. */
  readonly code: string;

  constructor(code: string, text: string) {
    super(text);
    this.code = code;
  }
}

export interface Message {
  readonly type: string;
  readonly body: Buffer;
}

/** Splits what arrives into messages. */
export class Splitter {
  #rest: Buffer | null = null;

  *push(chunk: Buffer): Generator<Message> {
    let data = this.#rest === null ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = null;
    while (data.length >= 5) {
      const length = data.readInt32BE(1);
      if (length < 4 || length > 1_000_000)
        throw new Error("what listens on the port does not speak PostgreSQL's protocol");
      if (data.length < 1 + length) break;
      yield { type: String.fromCharCode(data[0] ?? 0), body: data.subarray(5, 1 + length) };
      data = data.subarray(1 + length);
    }
    if (data.length > 0) this.#rest = data;
  }
}

export function errorOf(body: Buffer): ServerError {
  const fields = new Map<string, string>();
  for (const field of body.toString('utf8').split(NUL))
    if (field !== '') fields.set(field[0] ?? '', field.slice(1));
  return new ServerError(fields.get('C') ?? 'XX000', fields.get('M') ?? 'an error without a message');
}

/** The first column of a row as text; null for NULL or a row without columns. */
export function firstColumn(body: Buffer): string | null {
  if (body.length < 6 || body.readInt16BE(0) < 1) return null;
  const length = body.readInt32BE(2);
  return length < 0 ? null : body.toString('utf8', 6, 6 + length);
}
