/** For load balancers: no authentication, answered from memory. 200 or 503, with the reason. */
import { type Context, Hono } from 'hono';
import type { AgentApi, Health } from '../api/types.ts';
import { parseBytes } from '../config/fields.ts';
import { usageError } from '../errors.ts';

type Fitness = { ok: boolean; why: string };

/** `?lag=BYTES` or with a unit (`16MB`): a standby further behind, or of unknown lag, is not fit. */
function lagLimit(c: Context): number | undefined {
  const asked = c.req.query('lag');
  if (asked === undefined) return undefined;
  const limit = parseBytes(/^\d+$/.test(asked) ? Number(asked) : asked);
  if (limit === undefined) throw usageError(`lag=${asked} must be a number of bytes, or like 16MB`);
  return limit;
}

function standby(health: Health, c: Context): Fitness {
  const limit = lagLimit(c);
  if (!health.standby) return { ok: false, why: health.reason };
  if (limit === undefined) return { ok: true, why: health.reason };
  if (health.lagBytes === null) return { ok: false, why: 'the lag is unknown' };
  return { ok: health.lagBytes <= limit, why: `${health.lagBytes} bytes behind the active` };
}

const VERDICTS: Record<string, (health: Health, c: Context) => Fitness> = {
  active: (health) => ({ ok: health.active, why: health.reason }),
  standby,
  'read-only': (health) => ({ ok: health.readOnly, why: health.reason }),
  live: (health) => ({ ok: health.live, why: health.reason }),
  ready: (health) => ({ ok: health.ready, why: health.reason }),
};

export function healthRoutes(api: AgentApi): Hono {
  const app = new Hono();
  for (const [name, judge] of Object.entries(VERDICTS)) {
    // Hono answers HEAD from GET; OPTIONS has the same status and, like HEAD, no body.
    app.on(['GET', 'OPTIONS'], `/${name}`, (c) => {
      const { ok, why } = judge(api.health(), c);
      c.header('Cache-Control', 'no-store');
      const status = ok ? 200 : 503;
      if (c.req.method === 'OPTIONS') return c.body(null, status, { Allow: 'GET, HEAD, OPTIONS' });
      if (ok) return c.json({ status: 'ok', reason: why }, status);
      return c.json({ message: why, error_code: `not_${name.replace('-', '_')}` }, status);
    });
  }
  return app;
}
