"""Every bound of the SDK, with its reason. The names are those of the TypeScript and Go SDKs."""

# Sleeps shorter than this are waited out under the lease: a suspend costs two commits and a new journal.
SLEEP_HELD_MS_MAX = 1_000

# Retry delays up to this are waited out under the lease (design: 5 s).
RETRY_HELD_MS_MAX = 5_000

# The worker enforces a step's timeout; the server's bound is this much later and only counts when the worker hangs.
SERVER_TIMEOUT_SLACK_MS = 1_000

# Without an answer to Hello in this time the stream is dropped.
WELCOME_TIMEOUT_MS = 10_000

# How long a goodbye may take to reach the server before the connection is closed anyway.
GOODBYE_TIMEOUT_MS = 2_000

# After a refused suspend the notices are on their way; if none comes in this time the run is given back and replayed.
NOTICES_OVERDUE_MS = 2_000

# An unknown workflow is released with this delay, so that server and worker do not pass it back and forth.
UNKNOWN_WORKFLOW_RETRY_MS = 5_000

# A run that is given back because something is wrong here (a bug, an internal refusal) is not offered again at once.
ABANDONED_RETRY_MS = 1_000

# Things that one suspend may await, and failed steps that the end of a run may name, as on the server.
AWAITS_MAX = 1_000
FAILED_STEPS_MAX = 1_000

# About what an op takes in a frame without its payloads and its run id: a thousand small ones are no small frame.
OP_BYTES = 128

# Bytes of ops in one frame: the server reads at most 4 MiB, and small frames keep beats from queueing behind them.
FRAME_BYTES_MAX = 1_048_576

# Ops in one frame until Welcome says otherwise.
FRAME_OPS_MAX_DEFAULT = 1_024

# Frames that wait for the transport before ops are kept back: what gathers meanwhile leaves in fewer frames.
FRAMES_AHEAD_MAX = 4

# Payload bytes until Welcome says otherwise.
PAYLOAD_BYTES_MAX_DEFAULT = 262_144

# The server cuts larger messages; a journal chunk is 256 KiB.
MESSAGE_BYTES_MAX = 16 * 1_024 * 1_024

# A new channel after this many failed streams: the old connection may be half dead behind a proxy.
FAILURES_PER_TRANSPORT = 3

# Failure record limits (failure.proto), in bytes of UTF-8.
FAILURE_TYPE_BYTES_MAX = 256
FAILURE_MESSAGE_BYTES_MAX = 16_384
FAILURE_STACK_BYTES_MAX = 8_192
FAILURE_DEPTH_MAX = 8

# Longest sleep or timeout in milliseconds (change.proto).
DELAY_MS_MAX = 10**14

# Longest step key or signal name in characters; the server checks its own limit in bytes.
KEY_LENGTH_MAX = 1_024

# Longest name of a workflow in bytes of UTF-8, as on the server.
WORKFLOW_NAME_BYTES_MAX = 256

# Until Welcome says otherwise.
WATCHDOG_MS_DEFAULT = 25_000

# A worker that is asked to stop gives its running steps this long, in seconds.
DRAIN_TIMEOUT_DEFAULT = 30.0

# Leases that a worker holds at the same time, as on the server.
CAPACITY_DEFAULT = 10
CAPACITY_MAX = 100_000

# Threads for plain functions: as many as runs, within these. More would cost memory and only wait for each other.
THREADS_MIN = 4
THREADS_MAX = 256

# Callbacks of one run before the user's other work gets its turn: code that spins must not stop the loop.
TURN_CALLBACKS_MAX = 10_000

# A handler that catches its unwinding is unwound again this often; then its code is left where it waits.
UNWINDINGS_MAX = 100

# For so long from its first failure a call is tried again when the server cannot be reached, in seconds. A restart
# under load takes up to 4 s.
CALL_PATIENCE = 10.0

# How long one WaitRun call stays open, in seconds.
WAIT_PIECE = 60.0

# An answer to WaitRun that is overdue by this many seconds will not come: its connection is dead.
WAIT_OVERDUE = 2.0

# What a call without a time limit of its own may take, in seconds.
CALL_TIMEOUT = 30.0
