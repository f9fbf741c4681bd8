/** How to run one service. The systemd driver goes by `unit`; the child driver by everything else. */
export interface ServiceUnit {
  readonly name: string;
  readonly unit?: string;
  /** Program, looked up in PATH unless it has a slash. No shell. */
  readonly command?: string;
  readonly args?: readonly string[];
  readonly cwd?: string;
  /** Added to the agent's own environment; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /**
   * The manager's own program: it gets the proxies that the agent was given and does not use itself. Child
   * driver only.
   */
  readonly managers?: boolean;
  /** Standard output and error are appended here. Left out: NAME.log in the driver's log folder. */
  readonly logFile?: string;
  /** Default SIGTERM. */
  readonly stopSignal?: StopSignal;
  /** Milliseconds from the stop signal to SIGKILL. Default 10,000. */
  readonly stopTimeout?: number;
  /** systemd driver: milliseconds until the unit must be active. Default 60,000. */
  readonly startTimeout?: number;
  /**
   * systemd driver: what a start waits for. Default `active`; `process` for a server that recovers before it
   * is ready.
   */
  readonly startWaits?: 'active' | 'process';
}

export type StopSignal = 'SIGTERM' | 'SIGINT' | 'SIGQUIT' | 'SIGKILL';

export type ServiceState = 'running' | 'stopped' | 'failed' | 'unknown';

export interface ServiceStatus {
  /** failed: ended without having been asked to. unknown: could not be told, which is never `stopped`. */
  readonly state: ServiceState;
  readonly pid?: number;
  /** When it was started or ended. */
  readonly since?: Date;
  /** 128 + signal number for a death by signal, as in a shell. Absent when nobody saw it. */
  readonly exitCode?: number;
}

export interface ServiceExit {
  readonly name: string;
  readonly pid: number;
  readonly exitCode?: number;
  readonly signal?: string;
  /** True if a stop had been asked for. */
  readonly expected: boolean;
}

export interface StopOptions {
  /** Milliseconds until SIGKILL; over the unit's stopTimeout. */
  readonly timeout?: number;
  /** Over the unit's stopSignal. */
  readonly signal?: StopSignal;
}

/**
 * Runs services that outlive the agent. Every call seeks a state and may be repeated: starting what runs
 * and stopping what is stopped do nothing. Failures are AgentErrors, `operator` when the unit itself is at
 * fault, `transient` otherwise.
 */
export interface ServiceDriver {
  /**
   * Child driver: resolves once the process exists, not once it serves. systemd driver: once the unit is
   * active, which a Type=notify service says itself, or as `startWaits` says. Waits for a stop under way to
   * end.
   */
  start(unit: ServiceUnit): Promise<ServiceStatus>;
  /**
   * Resolves once it is *confirmed* gone, with whatever it started in its own process group; rejects with
   * code `service_not_stopped` if even SIGKILL did not help. A second call while one is under way sends its
   * own signal at once and brings its own timeout.
   */
  stop(unit: ServiceUnit, options?: StopOptions): Promise<void>;
  restart(unit: ServiceUnit, options?: StopOptions): Promise<ServiceStatus>;
  /** As it is now. Never rejects. Takes up a process that an earlier agent started. */
  status(unit: ServiceUnit): Promise<ServiceStatus>;
  /**
   * Called once per ended process; returns how to unsubscribe. Child driver: at once for what this agent
   * started; for what it took up from an earlier one when `status` is asked, within a second otherwise.
   * systemd driver: within 0.1 s for main processes, whoever started them, after the first start or `status`;
   * not for units without one.
   */
  onExit(listener: (exit: ServiceExit) => void): () => void;
  /** Ends the watching; the services go on. */
  close(): Promise<void>;
}
