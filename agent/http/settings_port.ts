/** In the row of a node. */
export type Differing = {
  /** What of its settings is not as the active's, a line each; left out by earlier versions. */
  differs?: string[];
};
