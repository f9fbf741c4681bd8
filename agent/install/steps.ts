/** What uninstall and teardown do, as steps: each says whether there is anything to do before it does it. */

export interface Step {
  /** What it does, in words that fit a list of things to come. */
  readonly what: string;
  /** The same when it has been done. */
  readonly did: string;
  /** Undefined: there is nothing to do. Else what is there, empty for nothing to add. Changes nothing. */
  needed(): Promise<string | undefined> | string | undefined;
  /** May be repeated. Resolves to what is worth telling. */
  act(): Promise<string | undefined>;
}

export interface StepResult {
  /** What is to be done, or was. */
  readonly what: string;
  readonly detail: string;
}

const tell = (what: string, detail: string | undefined): StepResult => ({ what, detail: detail ?? '' });

/** The steps with something to do. */
export async function stepsToDo(steps: readonly Step[]): Promise<StepResult[]> {
  const found: StepResult[] = [];
  for (const step of steps) {
    const needed = await step.needed();
    if (needed !== undefined) found.push(tell(step.what, needed));
  }
  return found;
}

/** One after the other, up to the first that throws: called again, it goes on from there. */
export async function doSteps(
  steps: readonly Step[],
  did: (result: StepResult) => void,
): Promise<StepResult[]> {
  const done: StepResult[] = [];
  for (const step of steps) {
    if ((await step.needed()) === undefined) continue;
    const result = tell(step.did, await step.act());
    done.push(result);
    did(result);
  }
  return done;
}

export const stepLine = ({ what, detail }: StepResult): string =>
  detail === '' ? what : `${what}: ${detail}`;
