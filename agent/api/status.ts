/** What a status knows of the cluster's life, and since when. Every field is left out by earlier versions. */

export type Quorum = {
  servers: number;
  alive: number;
  /** How many more may be lost. */
  survives: number;
  /** Too few of the servers are seen alive to decide anything, and nothing is decided. */
  lost?: boolean;
  /** Servers that are not seen alive. */
  missing?: string[];
};

/** Nobody can say how the cluster is: this node hears nothing from Consul. */
export type Outage = {
  kind: 'no_quorum' | 'consul_silent';
  /** One line: what is the case, and what to do. */
  message: string;
  /** What limits that line. */
  notes: string[];
  /** ISO; when Consul last answered this node. null: never since its agent started. */
  since: string | null;
  /** Milliseconds since then, or since the agent started. */
  silent_for: number;
};

export type OutageReport = {
  /** As this node's Consul server sees its members; null: it does not answer. */
  quorum: Quorum | null;
  /** null: Consul answers. */
  outage?: Outage | null;
  /** Whom Consul named last. `active` beside it is null when nobody is known to be active now. */
  last_active?: { node: string; epoch: number; since: string } | null;
};

/** In the row of a node, whose `state` is `unknown` when its machine is up and what it is cannot be heard. */
export type Silence = {
  /** Nothing is known of it now: its checks say nothing, and `reason` is its last. */
  silent?: boolean;
  /** ISO, by its own clock; null: it never said anything. */
  last_word?: string | null;
  /** Milliseconds since its last word, of a silent node; null: it speaks, or never did. */
  silent_for?: number | null;
};

export type RequestReport = {
  id: string;
  target: string;
  refused: string | null;
  /** What it waits for, as far as this node can tell; null: not known, or nothing. */
  waiting?: string | null;
};
