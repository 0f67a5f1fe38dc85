// Bounds that belong to reading a store, the same for all adapters so that they answer alike.

/** Step statistics look at the newest runs only: an answer must not cost more as the file grows. */
export const stepStatsRunsMax = 10_000;
