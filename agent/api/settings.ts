/** In the row of a node. */
export type Differing = {
  /** What of its settings is not as the active's, a line each; left out by earlier versions. */
  differs?: string[];
};

/** Whether what agent.yaml says is what runs. */
export type ConfigurationReport = {
  file: string;
  /** Hash of what the agent runs with. */
  hash: string;
  /** Of the file as it is now; null: it cannot be used. */
  fileHash: string | null;
  /** What is not in force, and the next step; empty: all is. */
  problems: { what: string; next: string }[];
};

export type Configured = {
  /** Of the agent that answers; left out by earlier versions. */
  configuration?: ConfigurationReport;
};
