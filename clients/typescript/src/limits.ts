/** Sleeps shorter than this are waited out under the lease: a suspend costs two commits and a new journal. */
export const sleepHeldMsMax = 1_000;

/** Retry delays up to this are waited out under the lease (design.md, section 5). */
export const retryHeldMsMax = 5_000;

/** The worker enforces a step's timeout; the server's bound is this much later and only counts when the worker hangs. */
export const serverTimeoutSlackMs = 1_000;

/** Without an answer to Hello in this time the stream is dropped. */
export const welcomeTimeoutMs = 10_000;

/** How long a goodbye may take to reach the server before the connection is closed anyway. */
export const goodbyeTimeoutMs = 2_000;

/** After a refused suspend the notices are on their way; if none comes in this time the run is given back and replayed. */
export const noticesOverdueMs = 2_000;

/** An unknown workflow is released with this delay, so that server and worker do not pass it back and forth at full speed. */
export const unknownWorkflowRetryMs = 5_000;

/** A run that is given back because something is wrong here (a bug, an internal refusal) is not offered again at once. */
export const abandonedRetryMs = 1_000;

/** Things that one suspend may await, and failed steps that the end of a run may name, as on the server. */
export const awaitsMax = 1_000;
export const failedStepsMax = 1_000;

/** About what an op takes in a frame without its payloads and its run id. */
export const opBytes = 128;

/** Bytes of ops in one frame: the server reads at most 4 MiB, and small frames keep beats from queueing behind them. */
export const frameBytesMax = 1_048_576;

/** Ops in one frame until Welcome says otherwise. */
export const frameOpsMaxDefault = 1_024;

/** Payload bytes until Welcome says otherwise. */
export const payloadBytesMaxDefault = 262_144;

/** A new HTTP/2 connection after this many failed streams: the old one may be half dead behind a proxy. */
export const failuresPerTransport = 3;

/** Failure record limits (failure.proto); longer text is cut. Of a stack less than the server takes: it is stored with each failure. */
export const failureTypeBytesMax = 256;
export const failureMessageBytesMax = 16_384;
export const failureStackBytesMax = 8_192;
export const failureDepthMax = 8;

/** Longest sleep or timeout in milliseconds (change.proto). */
export const delayMsMax = 1e14;

/** Of a retry policy, as on the server (retry_policy.proto). */
export const attemptsMax = 2_147_483_647;
export const factorMax = 1_000;
export const retryEntriesMax = 1_000;

/** Longest step key or signal name in UTF-16 units; the server checks its own limit in bytes. */
export const keyLengthMax = 1_024;

/** Node fires a longer timeout at once; longer waits are set in pieces. */
export const timerMsMax = 2_147_483_647;

/** Until Welcome says otherwise. */
export const watchdogMsDefault = 25_000;

/** A worker that is asked to stop gives its running steps this long. */
export const drainTimeoutMsDefault = 30_000;

/** Leases that a worker holds at the same time, as on the server. */
export const capacityDefault = 10;

/**
 * For so long from its first failure a call is tried again when the server cannot be reached. A restart under load takes up to 4 s (row
 * R18). A number of tries is no such promise: with twelve, chance made it 3 s or 11.
 */
export const callPatienceMs = 10_000;

/** How long one WaitRun call stays open. */
export const waitPieceMs = 60_000;

/** An answer to WaitRun that is overdue by this much will not come: its connection is dead. */
export const waitOverdueMs = 2_000;
