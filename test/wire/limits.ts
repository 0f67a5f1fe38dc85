/** Whatever a scenario waits for must have come by then, on a machine that does other things too. */
export const waitMsMax = 40_000;

/** What a worker may take to open a stream after its back-off, on a machine that does other things too. */
export const connectMsMax = 10_000;

/** Scenarios at the same time: they mostly wait, and each has a driver process. */
export const scenariosAtOnce = 5;

/** Lines of the transcript that a failed scenario shows. */
export const transcriptLines = 40;

/** How soon a state is asked for again. */
export const askAgainMs = 20;

/** A scenario waits for several things one after the other. */
export const scenarioMsMax = 120_000;
