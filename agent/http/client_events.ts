/** Reading server-sent events from an agent. */
import { AgentError } from '../errors.ts';
import type { HttpClient } from './client.ts';

export interface ServerEvent {
  readonly event: string;
  readonly data: string;
  readonly id: string | undefined;
}

/** One block of a stream, between empty lines; undefined for one of comments alone. */
export function parseEvent(block: string): ServerEvent | undefined {
  let event = 'message';
  let id: string | undefined;
  const data: string[] = [];
  for (const line of block.split('\n')) {
    const [, name = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (name === 'event') event = value;
    else if (name === 'id') id = value;
    else if (name === 'data') data.push(value);
  }
  return data.length === 0 ? undefined : { event, data: data.join('\n'), id };
}

/** Events as they come, until `signal`. Ends with an error (`stream_ended`) when the agent goes. */
export async function* events(
  http: HttpClient,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<ServerEvent> {
  const reply = await http.open(path, signal);
  reply.setEncoding('utf8');
  let rest = '';
  let cause: unknown;
  try {
    for await (const chunk of reply) {
      const blocks = (rest + chunk).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const event = parseEvent(block);
        if (event !== undefined) yield event;
      }
    }
  } catch (thrown) {
    cause = thrown;
  }
  if (signal.aborted) return;
  throw new AgentError({
    class: 'transient',
    code: 'stream_ended',
    message: 'the agent closed the connection',
    hint: 'is it restarting? Try again',
    cause,
  });
}
