import { createApp } from '../../agent/http/app.ts';
import type { Access } from '../../agent/http/auth.ts';
import { FakeAgent } from '../fakes/agent_api.ts';
import { testLog } from '../fixtures/log.ts';

export const SECRET = 's3cret';

export const ON_SOCKET: Access = {
  admin: true,
  openReads: true,
  openAdmission: true,
  secret: () => SECRET,
};
export const ON_TCP: Access = {
  admin: false,
  openReads: true,
  openAdmission: true,
  secret: () => SECRET,
};

/** The application over a fake agent, asked without any socket. */
export function testApp(access: Access = ON_SOCKET) {
  const agent = new FakeAgent();
  const log = testLog();
  const manager = { edition: 'premium', version: '4.6', build: '7' };
  const app = createApp({ api: agent, manager, access, log: log.for('http') });
  const send = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
    app.request(path, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
  return {
    agent,
    log,
    app,
    send,
    get: (path: string, headers?: Record<string, string>) => send('GET', path, undefined, headers),
  };
}

/** Status and body in one, for comparing. */
export const reply = async (response: Response) => ({
  status: response.status,
  body: (await response.json()) as Record<string, unknown>,
});
