"""How the SDK reaches the server: one HTTP/2 connection (h2c or TLS), opened when it is first needed."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import grpc.aio

from . import _limits as limits
from .errors import InvalidArgumentError

ADDRESS_DEFAULT = "http://127.0.0.1:7420"

END_OF_STREAM = grpc.aio.EOF
"""What reading a stream gives at its end."""

_OPTIONS = [
    ("grpc.max_receive_message_length", limits.MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", limits.MESSAGE_BYTES_MAX),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.http2.max_pings_without_data", 0),
    # No compression but "identity": of small local messages it costs more than it saves, as in the other SDKs.
    ("grpc.compression_enabled_algorithms_bitset", 1),
    # Our own back-off decides when to come back, so the channel must be ready to try.
    ("grpc.initial_reconnect_backoff_ms", 100),
    # In spite of its name: how long an attempt to connect may take.
    ("grpc.min_reconnect_backoff_ms", limits.WELCOME_TIMEOUT_MS),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.enable_retries", 0),
    # Else a new channel would share the connection that it is to replace.
    ("grpc.use_local_subchannel_pool", 1),
]

_PERMANENT = frozenset(
    {
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
    }
)


class Connection:
    """Lives on the loop of the network thread. Wrong options are refused at once, before there is a thread."""

    def __init__(self, address: str | None, api_key: str | None, tls_ca_file: str | os.PathLike[str] | None) -> None:
        self._target, self._secure = _parse_address(address or os.environ.get("EVERSTEP_ADDRESS") or ADDRESS_DEFAULT)
        self._roots = None if tls_ca_file is None else Path(tls_ca_file).read_bytes()
        key = api_key or os.environ.get("EVERSTEP_API_KEY")
        self.metadata: tuple[tuple[str, str], ...] = (("authorization", f"Bearer {key}"),) if key else ()
        self._channel: grpc.aio.Channel | None = None
        self._closing: set[asyncio.Task[None]] = set()

    def channel(self) -> grpc.aio.Channel:
        if self._channel is None:
            if self._secure:
                credentials = grpc.ssl_channel_credentials(self._roots)
                self._channel = grpc.aio.secure_channel(self._target, credentials, options=_OPTIONS)
            else:
                self._channel = grpc.aio.insecure_channel(self._target, options=_OPTIONS)
        return self._channel

    def renew(self) -> None:
        """The next call gets a new connection."""
        channel, self._channel = self._channel, None
        if channel is not None:
            task = asyncio.get_running_loop().create_task(channel.close(None))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        self.renew()
        await asyncio.gather(*self._closing, return_exceptions=True)


def is_permanent(error: BaseException | None) -> bool:
    """True for an error that waiting does not heal."""
    return isinstance(error, grpc.aio.AioRpcError) and error.code() in _PERMANENT


def _parse_address(address: str) -> tuple[str, bool]:
    url = urlsplit(address if "://" in address else f"http://{address}")
    try:
        port = url.port
    except ValueError:
        port = -1
    if url.scheme not in ("http", "https") or not url.hostname or port == -1 or url.path.strip("/") or url.query:
        raise InvalidArgumentError(f"address {address!r} is not like http://HOST:PORT or https://HOST:PORT")
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    secure = url.scheme == "https"
    return f"{host}:{port or (443 if secure else 80)}", secure
