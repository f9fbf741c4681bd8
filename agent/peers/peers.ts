/** Asking the other agents: the core's `peers` port over their HTTP API. LSNs travel as decimal strings. */
import { hostPort } from '../config/index.ts';
import type { FailsafeRequest, PeerState, VoteReply, VoteRequest } from '../core/ports.ts';
import type { Fork } from '../core/postgres.ts';
import { type ClientTls, connectionCache, directFetch } from '../platform/tls/fetch.ts';

/** How long the last of several voters is waited for once the others have answered, ms. */
const STRAGGLER = 250;

export type PeerAddress = { host: string; port: number };

/** What this node shows its peers where the cluster uses TLS. */
export type PeerSelf = { readonly node: string; readonly token: string; readonly tls: ClientTls };

type WireVote =
  | {
      kind: 'vote';
      vote: {
        node: string;
        clone: string;
        timeline: number;
        lsn: string;
        history: { tli: number; lsn: string }[];
      };
    }
  | { kind: 'refused'; why: string }
  | { kind: 'unknown' };

export function voteToWire(reply: VoteReply): WireVote {
  if (reply.kind !== 'vote') return reply;
  const { vote } = reply;
  return {
    kind: 'vote',
    vote: {
      ...vote,
      lsn: vote.lsn.toString(),
      history: vote.history.map((f) => ({ tli: f.tli, lsn: f.lsn.toString() })),
    },
  };
}

function voteFromWire(reply: WireVote): VoteReply {
  if (reply.kind !== 'vote') return reply;
  const history: Fork[] = reply.vote.history.map((f) => ({ tli: f.tli, lsn: BigInt(f.lsn) }));
  return { kind: 'vote', vote: { ...reply.vote, lsn: BigInt(reply.vote.lsn), history } };
}

export function stateToWire(state: PeerState | null) {
  return state === null ? null : { ...state, replayed: state.replayed.toString() };
}

/**
 * `self` undefined: a plain cluster, whose peers show the `secret`. Connections are kept, so that a vote
 * costs a round trip.
 */
export function createPeers(
  addressOf: (node: string) => PeerAddress | undefined,
  secret: () => string,
  self: () => PeerSelf | undefined = () => undefined,
) {
  const connection = connectionCache(() => self()?.tls);
  async function ask<T>(
    node: string,
    method: string,
    path: string,
    body: unknown,
    ms: number,
  ): Promise<T | null> {
    const address = addressOf(node);
    if (address === undefined) return null;
    const where = hostPort(address.host, address.port);
    const own = self();
    const authorization = own === undefined ? `Bearer ${secret()}` : `Peer ${own.node}:${own.token}`;
    try {
      const reply = await directFetch(
        `${own === undefined ? 'http' : 'https'}://${where}/api/v1/peer/${path}`,
        {
          ...connection(false),
          redirect: 'manual',
          method,
          headers: { authorization, 'content-type': 'application/json' },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
          signal: AbortSignal.timeout(ms),
        },
      );
      if (!reply.ok) return null;
      return (await reply.json()) as T;
    } catch {
      return null;
    }
  }

  return {
    async vote(node: string, request: VoteRequest, ms: number): Promise<VoteReply> {
      const reply = await ask<WireVote>(node, 'POST', 'vote', request, ms);
      return reply === null ? { kind: 'unknown' } : voteFromWire(reply);
    },
    async votes(nodes: string[], request: VoteRequest, ms: number): Promise<Record<string, VoteReply>> {
      const replies: Record<string, VoteReply> = Object.fromEntries(
        nodes.map((node) => [node, { kind: 'unknown' }]),
      );
      let missing = nodes.length;
      await new Promise<void>((done) => {
        if (missing === 0) done();
        for (const node of nodes) {
          void this.vote(node, request, ms).then((reply) => {
            replies[node] = reply;
            missing -= 1;
            if (missing === 0) done();
            // The last one is usually the former active, frozen or gone: its silence costs this much, not all
            // of `ms`.
            else if (missing === 1) setTimeout(done, STRAGGLER);
          });
        }
      });
      return replies;
    },
    async state(node: string, ms: number): Promise<PeerState | null> {
      const reply = await ask<{ replayed: string; timeline: number; streaming: boolean }>(
        node,
        'GET',
        'state',
        undefined,
        ms,
      );
      return reply === null ? null : { ...reply, replayed: BigInt(reply.replayed) };
    },
    async failsafe(nodes: string[], request: FailsafeRequest, ms: number): Promise<string[]> {
      const replies = await Promise.all(
        nodes.map(async (node) =>
          (await ask<{ agreed: boolean }>(node, 'POST', 'failsafe', request, ms))?.agreed ? node : null,
        ),
      );
      return replies.filter((node) => node !== null);
    },
    /** Lag of every node in bytes, as the active sees its standbys; null when it does not answer. */
    lags: (node: string, ms: number) =>
      ask<Record<string, number | null>>(node, 'GET', 'lags', undefined, ms),
    reclone: (node: string, ms: number) => ask<object>(node, 'POST', 'reclone', {}, ms),
  };
}
export type Peers = ReturnType<typeof createPeers>;
