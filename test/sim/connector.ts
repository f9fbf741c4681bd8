/**
 * Brings walreceivers together with their upstream: the retries of `wal_retrieve_retry_interval` = 100ms,
 * without polling for what cannot be.
 */
import { Link, refusal, sameHistory, servedUpTo, type Wire } from './link.ts';
import type { Server } from './server.ts';

export class Connector {
  private wire: Wire;
  private servers: () => Server[];

  constructor(wire: Wire, servers: () => Server[]) {
    this.wire = wire;
    this.servers = servers;
    wire.network.onChange(() => this.networkChanged());
  }

  /** This server became able to stream, or to be streamed from. */
  ready(server: Server): void {
    this.soon(server);
    for (const other of this.servers()) if (other.upstream === server.name) this.soon(other);
  }

  /** Everything that was waiting for this machine goes on. */
  thawed(server: Server): void {
    for (const link of this.linksOf(server)) link.retry();
    server.release();
    this.ready(server);
  }

  /** A machine stands still: whoever streams from it gives up after the timeout. */
  paused(server: Server): void {
    for (const link of this.linksOf(server)) {
      this.wire.scheduler.after(this.wire.timeout, () => {
        if (!server.machine.paused) return;
        if (link.up === server) link.down.machine.later(0, () => link.dropAtReceiver());
        else link.up.machine.later(0, () => link.dropAtSender());
      });
    }
  }

  private linksOf(server: Server): Link[] {
    const proc = server.proc;
    if (proc === null) return [];
    return proc.receiver === null ? proc.senders : [...proc.senders, proc.receiver];
  }

  private networkChanged(): void {
    for (const server of this.servers()) {
      for (const link of [...(server.proc?.senders ?? [])]) {
        if (this.wire.network.both(server.machine.index, link.down.machine.index)) link.retry();
        else link.silence();
      }
      this.soon(server);
    }
  }

  private soon(server: Server, extra = 0): void {
    const proc = server.proc;
    if (proc === null || proc.role !== 'standby' || !proc.settled || proc.promoting) return;
    if (proc.receiver !== null || proc.connecting || server.upstream === null) return;
    proc.connecting = true;
    server.machine.later(extra + server.random.range(5, 130), () => {
      if (server.proc !== proc) return;
      proc.connecting = false;
      if (proc.role === 'standby' && !proc.promoting && proc.receiver === null) this.attempt(server);
    });
  }

  private attempt(server: Server): void {
    const up = this.servers().find((s) => s.name === server.upstream);
    if (up === undefined || up === server || up.proc === null || !up.proc.accepting || !up.works) return;
    if (up.hung !== 'no' || server.hung !== 'no' || up.proc.promoting) return;
    if (!this.wire.network.both(server.machine.index, up.machine.index)) return;
    if (up.systemId !== server.systemId) return;
    // The slot still belongs to the walsender of the connection before (PROTOCOL D.10).
    if (up.proc.senders.some((l) => l.name === server.identity)) {
      this.soon(server, 150);
      return;
    }
    const why = refusal(up, server);
    if (why === null) {
      if (!sameHistory(up, server)) server.events.foreign(server, up);
      new Link(this.wire, up, server);
      return;
    }
    const until = servedUpTo(up, server);
    if (until !== null) {
      server.events.note(server, `is served by ${up.name} up to ${until.toString(16)} only: it is ahead`);
      new Link(this.wire, up, server, until);
      this.soon(server, 1000);
      return;
    }
    server.events.note(server, `cannot stream from ${up.name}: ${why}`);
    this.soon(server, 1500);
  }
}
