// Every bound of the system, with its reason. Full means a clear, retryable refusal, never growth.

const KiB = 1024;
const MiB = 1024 * KiB;

/** Commands waiting to be decided. Many times what one commit takes: enough to fill those behind it while it runs. */
export const mailboxLengthMax = 65_536;

/** Bytes of payload in the commands that wait. Four full commits: what is refused here may be sent again. */
export const mailboxBytesMax = 64 * MiB;

/** Commands decided into one commit. Larger batches gain little throughput and add latency to everybody in them. */
export const batchCommandsMax = 4_096;

/** Reads done while their commit is under way: a few, because with many at once nobody waits for this thread's reading. */
export const besidesMax = 16;

/** Of a history that is read so, in events and in bytes: what is longer is read page by page behind the commit. */
export const aheadEventsMax = 64;
export const aheadBytesMax = 64 * KiB;

/** Events in one commit: bounds the time of one transaction to some ten milliseconds. */
export const batchEventsMax = 8_192;

/**
 * Bytes of payload in one commit: bounds the WAL frames that one sync has to carry. Three are in memory at most: one that
 * is written, one behind it, and the open one.
 */
export const batchBytesMax = 16 * MiB;

/** Commands worth a commit of their own while as many again are decided: fewer cost more in syncs than they gain. */
export const headStartCommandsMin = 32;

/** Events worth a commit that waits behind the one under way: fewer cost more in syncs than they gain. */
export const queuedEventsMin = 32;

/** A disk whose last commit took longer gets few large commits instead: there a sync costs more than deciding. */
export const quickCommitMs = 10;

/** What a commit may take longer for each of its events: writing a row takes half of it. */
export const quickEventMs = 0.03;

/**
 * A disk that is slow is left waiting for this share of its last commit when workers were just answered, for what they
 * ask next: two commits of 50 ms become one of 60. It is over as soon as as much was asked for as there was before.
 */
export const commitDelayShare = 0.2;

/** The longest such wait: what a worker on another machine takes to answer is in it, also where a commit takes a second. */
export const commitDelayMsMax = 25;

/** Due deadlines taken into one commit: a storm of timers must not hold up the commands of workers. */
export const batchDeadlinesMax = 1_024;

/** Runs in memory that nobody leases: a hit saves one fold of the history. Rows are the truth. */
export const runCacheMax = 2_048;

/** Largest first event of a run that waits for its grant in memory. With all of the cache: 2 MiB. */
export const createdBytesMax = KiB;

/** Step keys in all cached runs together, so that long runs do not make the cache large (about 200 bytes each). */
export const runCacheStepsMax = 100_000;

/** Head of a line kept in memory; refilled by one index scan. */
export const lineWindowMax = 512;

/**
 * Runs of a line that are read by one statement when there is room for them: what is left of a statement's own cost for
 * each is below a tenth, and the main thread stands still for a quarter of a millisecond.
 */
export const loadTogetherMax = 64;

/** Next deadlines kept in memory; refilled by one index scan. */
export const deadlineHorizonMax = 8_192;

/** Events of one run; beyond it the server keeps a reserve for its own events and for ending the run. */
export const historyEventsMax = 50_000;
export const historyReservedEvents = 1_000;

/** Bytes of one run's history; in the reserve beyond it the steps that run find a place for their results. */
export const historyBytesMax = 64 * MiB;
export const historyReservedBytes = 5 * MiB;

/** Open signals and pending timers of one run: both are kept in memory while the run is. */
export const openSignalsMax = 1_000;
export const pendingTimersMax = 1_000;

/** Grants without progress before a run is set aside: a run that kills its workers must not do so for ever. */
export const deliveriesMax = 10;

/** One payload; configurable by --payload-max. Below half of a message, so that a frame can carry any. */
export const payloadBytesMax = 4 * MiB;

/** A message on the wire; also bounds what a compressed one may become. */
export const messageBytesMax = 8 * MiB;

/** An answer below this size is not compressed: it would cost more time than it saves, also on slow lines. */
export const compressBytesMin = 32 * KiB;

/** A request must have been read whole within this time. Streams of HTTP/2 are bounded by the engine instead. */
export const requestReadMsMax = 60_000;

/** Text fields, in bytes of UTF-8. Run ids of the seed's users may be thousands of characters long. */
export const nameBytesMax = 256;
export const runIdBytesMax = 8_192;
export const runKeyBytesMax = 1_024;
export const stepKeyBytesMax = 1_024;
export const reasonBytesMax = 1_024;
export const encodingBytesMax = 128;
export const failureTypeBytesMax = 256;
export const failureMessageBytesMax = 16 * KiB;
export const failureStackBytesMax = 32 * KiB;
export const failureCauseDepthMax = 8;

/** About 3,170 years: more than any timer needs, and still a safe integer when added to an instant. */
export const durationMsMax = 100_000_000_000_000;

/** Counts, of attempts for one, travel as int32. */
export const countMax = 2_147_483_647;

/** Runs of one StartRuns call: about what one commit should carry. */
export const startRunsMax = 1_000;

/** Changes of one op: a worker that has more sends more ops. */
export const opChangesMax = 64;
export const frameOpsMax = 1_024;
/** Leases that a stream's reader knows by their bytes, about 500 bytes each; behind that it begins anew. */
export const knownLeasesMax = 8_192;

/** Things that one suspend may await. */
export const awaitsMax = 1_000;

/** Leases that one session or long-poll may hold. */
export const capacityMax = 100_000;
export const capacityDefault = 10;
export const sessionQueuesMax = 100;
export const sessionWorkflowsMax = 1_000;
/** Lines that one session may subscribe to: queues times workflows. */
export const sessionLinesMax = 10_000;

/** Sessions at once: each costs some tens of KiB. */
export const sessionsMax = 20_000;

/** Hellos admitted in any second; the others are told when to come back, so that a restart is no storm. */
export const hellosPerSecondMax = 300;
/** Returns promised for each second: the rest is room for those who were told nothing. */
export const helloReturnsPerSecond = 240;
/** The longest that a Hello is told to stay away: whoever floods the gate must not keep the others out for longer. */
export const helloDelayMsMax = 30_000;

/** What may wait for one session to read: beyond it the stream is cut, the session goes on. */
export const outboxItemsMax = 65_536;
export const outboxBytesMax = 64 * MiB;
/** Above this assignments and notices stay in the file until the stream has taken some: enough to keep it busy. */
export const outboxFeedBytes = 1 * MiB;
/** Open signals in an assignment itself; those behind follow as notices, so that no message grows with them. */
export const assignmentSignalBytes = 1 * MiB;
/** Assignments that may wait in an outbox: more would only age there while another worker has room. */
export const outboxAssignmentsMax = 256;
/** A stream that takes nothing for this long is cut off. */
export const outboxStallMs = 10_000;

/**
 * A stream on which nothing was heard for this long is given up: looked at three times as often, a worker that is gone
 * without a word is noticed within 20 s, long before leases of 30 s are over. It is not less than half a TTL, in which
 * a worker of good will beats, nor more than the whole of a short one.
 */
export const streamSilenceMs = 15_000;

/** A stream must say Hello within this time. */
export const helloTimeoutMs = 5_000;

/** Offers that a live session may leave unaccepted before it gets no more until its next Hello. */
export const unacceptedMax = 3;

/** Long-poll acquires and waits that may hang at once, and how long. */
export const waitersMax = 20_000;
export const acquireWaitMsMax = 60_000;
export const waitRunMsMax = 3_600_000;
export const waitRunMsDefault = 60_000;

/** A page of a list; a page of a history is also bounded in bytes. */
export const pageSizeDefault = 100;
export const pageSizeMax = 1_000;
export const pageBytesMax = 2 * MiB;

/** Requests begun in one turn of the event loop: some milliseconds of work, then whoever else has come has a turn. */
export const requestsPerTurn = 64;

/** Questions that a thread has before it: enough to keep it busy, few enough that their answers do not come all at once. */
export const threadCallsMax = 16;

/** A keep-alive message of a watch: below the idle timeout of common proxies. */
export const watchKeepAliveMs = 15_000;

/** Journal in one frame; more comes in chunks. */
export const journalChunkBytesMax = 256 * KiB;

/** Default grace of a cancel or a pause. */
export const graceMsDefault = 30_000;

export const leaseTtlMsDefault = 30_000;
export const leaseTtlMsMin = 1_000;
export const leaseTtlMsMax = 86_400_000;

/** How often a full disk is tried again. */
export const probeIntervalMs = 1_000;
