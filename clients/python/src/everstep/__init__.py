"""Durable workflows in Python: worker and client of the Everstep engine."""

from ._ports import Log
from ._session import SessionState
from ._version import __version__
from .client import Client, Complete, Fail, Resolution
from .codec import EncodedPayload, JsonCodec, PayloadCodec
from .durations import Duration
from .errors import (
    AmbiguousStepKeyError,
    CallRefusedError,
    CancelledError,
    EverstepError,
    FailureInfo,
    ForkedError,
    HistoryLimitError,
    InvalidArgumentError,
    LeaseLostError,
    NonDeterminismError,
    NonRetryableError,
    NotDurableError,
    OpRefusedError,
    PayloadCodecError,
    PayloadTooLargeError,
    RemoteError,
    ResultTimeoutError,
    RetryAfterError,
    RunFailedError,
    RunTerminatedError,
    StepFailedError,
    StepTimeoutError,
    Unwound,
)
from .retry_options import RetryOptions
from .run_handle import RunHandle
from .run_info import RunInfo, RunStatusName
from .step_attempt import StepAttempt, current_attempt
from .step_context import WorkflowContext
from .worker import Worker, WorkerHealth
from .workflow import Workflow, workflow

__all__ = [
    "AmbiguousStepKeyError",
    "CallRefusedError",
    "CancelledError",
    "Client",
    "Complete",
    "Duration",
    "EncodedPayload",
    "EverstepError",
    "Fail",
    "FailureInfo",
    "ForkedError",
    "HistoryLimitError",
    "InvalidArgumentError",
    "JsonCodec",
    "LeaseLostError",
    "Log",
    "NonDeterminismError",
    "NonRetryableError",
    "NotDurableError",
    "OpRefusedError",
    "PayloadCodec",
    "PayloadCodecError",
    "PayloadTooLargeError",
    "RemoteError",
    "Resolution",
    "ResultTimeoutError",
    "RetryAfterError",
    "RetryOptions",
    "RunFailedError",
    "RunHandle",
    "RunInfo",
    "RunStatusName",
    "RunTerminatedError",
    "SessionState",
    "StepAttempt",
    "StepFailedError",
    "StepTimeoutError",
    "Unwound",
    "Worker",
    "WorkerHealth",
    "Workflow",
    "WorkflowContext",
    "__version__",
    "current_attempt",
    "workflow",
]
