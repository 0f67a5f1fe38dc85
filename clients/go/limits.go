package everstep

import "time"

// Every bound of the SDK, with its reason. They are those of the TypeScript SDK, so that workers of both behave alike.
const (
	// sleepHeldMax: shorter sleeps are waited out under the lease, because a suspend costs two commits and a new journal.
	sleepHeldMax = time.Second
	// retryHeldMax: retry delays up to this are waited out under the lease.
	retryHeldMax = 5 * time.Second
	// serverTimeoutSlack: the worker enforces a step's timeout; the server's bound is this much later and only counts
	// when the worker hangs.
	serverTimeoutSlack = time.Second
	// startAnnounceDelay: a step that is over by then sends its result alone, which saves an event and a commit.
	startAnnounceDelay = 2 * time.Millisecond
	// welcomeTimeout: without an answer to Hello in this time the stream is dropped.
	welcomeTimeout = 10 * time.Second
	// goodbyeTimeout is how long a goodbye may take to reach the server before the connection is closed anyway.
	goodbyeTimeout = 2 * time.Second
	// unwindTimeout is how long Close waits for functions whose context it has cancelled.
	unwindTimeout = 2 * time.Second
	// noticesOverdue: after a refused suspend the notices are on their way; if none comes in this time the run is given
	// back and replayed.
	noticesOverdue = 2 * time.Second
	// unknownWorkflowRetry delays an unknown workflow, so that server and worker do not pass it back and forth at speed.
	unknownWorkflowRetry = 5 * time.Second
	// abandonedRetry: a run that is given back because something is wrong here is not offered again at once.
	abandonedRetry = time.Second
	// watchdogDefault counts until Welcome says otherwise.
	watchdogDefault = 25 * time.Second
	// drainTimeoutDefault is what Run gives running steps after its context has ended.
	drainTimeoutDefault = 30 * time.Second
	// waitPiece is how long one WaitRun call stays open.
	waitPiece = time.Minute
	// waitOverdue: an answer to WaitRun that is overdue by this much will not come, its connection is dead.
	waitOverdue = 2 * time.Second
	// delayMax is the longest sleep or timeout that the wire allows (change.proto) and time.Duration can say.
	delayMax = 1<<63 - 1 - time.Millisecond
)

const (
	// frameBytesMax bounds the ops in one frame: small frames keep beats from queueing behind them.
	frameBytesMax = 1 << 20
	// frameOpsMaxDefault and payloadBytesMaxDefault count until Welcome says otherwise.
	frameOpsMaxDefault     = 1_024
	payloadBytesMaxDefault = 256 << 10
	// opBytes is about what an op takes in a frame without its payloads and its run id.
	opBytes = 128
	// framesAheadMax frames may wait for the transport; meanwhile ops gather, and leave in fewer frames.
	framesAheadMax = 4
	// messageBytesMax: the server cuts larger messages; a journal chunk is 256 KiB.
	messageBytesMax = 16 << 20
	// streamWindowBytes: frames carry megabytes a second; the 64 KiB of HTTP/2 would make each wait for the other side.
	streamWindowBytes = 4 << 20
	// inboxLength: whoever has more for the session's goroutine waits until it has caught up.
	inboxLength = 1_024
	// turnMessagesMax messages are worked off before frames are built.
	turnMessagesMax = 1_024
	// callPatience: for so long from its first failure a call is tried again when the server cannot be reached. A restart
	// under load takes up to 4 s.
	callPatience = 10 * time.Second
	// capacityDefault is how many leases a worker holds at the same time, as on the server.
	capacityDefault = 10
	capacityMax     = 100_000
	// awaitsMax things may one suspend await, and failedStepsMax failed steps may the end of a run name, as on the server:
	// it refuses more, and the run would come to nothing.
	awaitsMax      = 1_000
	failedStepsMax = 1_000
	// keyBytesMax, nameBytesMax and the failure limits are the server's.
	keyBytesMax            = 1_024
	nameBytesMax           = 256
	failureTypeBytesMax    = 256
	failureMessageBytesMax = 16 << 10
	failureStackBytesMax   = 8 << 10
	failureDepthMax        = 8
)
