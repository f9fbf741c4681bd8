/**
 * Autopilot settings. Consul reads them from its files at the bootstrap only, so they are set by the API. A
 * write replaces the whole record: what is not ours is read and written back unchanged.
 */
import { parse, readCall, unexpected } from './answers.ts';
import type { CallOptions, ReadOptions, Unknown } from './port.ts';
import type { AutopilotSettings, Value } from './port_catalog.ts';
import type { ConsulTransport } from './transport.ts';

const PATH = '/v1/operator/autopilot/configuration';
const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

/** A duration as Go writes it (`10s`, `1m0s`, `200ms`) in ms; NaN when it is none. */
export function goDurationMs(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join('') !== text) return Number.NaN;
  return parts.reduce((sum, part) => sum + Number(part[1]) * (UNIT_MS[part[2] ?? ''] ?? Number.NaN), 0);
}

interface Wire extends Record<string, unknown> {
  CleanupDeadServers: boolean;
  ServerStabilizationTime: string;
  ModifyIndex: number;
}

async function read(
  transport: ConsulTransport,
  options: ReadOptions,
): Promise<{ kind: 'ok'; wire: Wire } | Unknown> {
  const reply = await transport.call(readCall(PATH, options), options);
  if (reply.kind === 'unknown') return reply;
  const wire = (reply.status === 200 ? parse(reply) : undefined) as Wire | undefined;
  if (typeof wire?.CleanupDeadServers !== 'boolean') return unexpected(reply, false);
  return { kind: 'ok', wire };
}

function settingsOf(wire: Wire): AutopilotSettings {
  return {
    cleanupDeadServers: wire.CleanupDeadServers,
    serverStabilizationMs: goDurationMs(wire.ServerStabilizationTime),
  };
}

const same = (a: AutopilotSettings, b: AutopilotSettings): boolean =>
  a.cleanupDeadServers === b.cleanupDeadServers && a.serverStabilizationMs === b.serverStabilizationMs;

export async function readAutopilot(
  transport: ConsulTransport,
  options: ReadOptions,
): Promise<Value<AutopilotSettings> | Unknown> {
  const got = await read(transport, options);
  return got.kind === 'unknown' ? got : { kind: 'ok', value: settingsOf(got.wire) };
}

export async function ensureAutopilot(
  transport: ConsulTransport,
  settings: AutopilotSettings,
  options: CallOptions,
): Promise<{ kind: 'ok'; changed: boolean } | { kind: 'conflict' } | Unknown> {
  const before = await read(transport, options);
  if (before.kind === 'unknown') return before;
  if (same(settingsOf(before.wire), settings)) return { kind: 'ok', changed: false };

  const { CreateIndex: _created, ModifyIndex: index, ...rest } = before.wire;
  const body = JSON.stringify({
    ...rest,
    CleanupDeadServers: settings.cleanupDeadServers,
    ServerStabilizationTime: `${settings.serverStabilizationMs}ms`,
  });
  const reply = await transport.call({ method: 'PUT', path: `${PATH}?cas=${index}`, body }, options);
  if (reply.kind === 'unknown') return reply;
  const said = reply.status === 200 ? reply.body.trim() : '';
  if (said === 'false') return { kind: 'conflict' };
  if (said !== 'true') return unexpected(reply, true);

  const after = await read(transport, options);
  if (after.kind === 'unknown') return after;
  return same(settingsOf(after.wire), settings) ? { kind: 'ok', changed: true } : { kind: 'conflict' };
}
