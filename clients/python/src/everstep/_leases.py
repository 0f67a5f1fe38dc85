"""All leases that the worker holds.

Finds the channel that a frame speaks of, and ends leases that nobody confirmed in time. A lease counts from the moment
its beat was sent, and is over a beat interval before the server thinks so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from . import _limits as limits
from ._enum_name import enum_name
from ._gen.lease_pb2 import LeaseEndReason
from ._gen.worker_service_pb2 import (
    BeatLease,
    HeldLease,
    JournalChunk,
    LostLease,
    Notice,
    OpResults,
    Verdict,
)
from ._lease_channel import ChannelHost, LeaseChannel
from ._ports import TimerHandle


@dataclass(frozen=True)
class _SentBeat:
    sent_at_ms: float
    channels: list[LeaseChannel]


class Leases:
    def __init__(self, host: ChannelHost) -> None:
        self._host = host
        self._channels: dict[bytes, LeaseChannel] = {}
        self._beats: dict[int, _SentBeat] = {}
        self._listed: list[LeaseChannel] = []
        self._listed_at_ms = 0.0
        self._expiry: TimerHandle | None = None
        self.trust_ms: float = limits.WATCHDOG_MS_DEFAULT
        """Five sixths of the TTL (Welcome)."""

    def __len__(self) -> int:
        return len(self._channels)

    def holds(self, lease_id: bytes) -> bool:
        return lease_id in self._channels

    def add(self, channel: LeaseChannel) -> None:
        self._channels[channel.key] = channel
        self._plan_expiry()

    def remove(self, channel: LeaseChannel) -> None:
        self._channels.pop(channel.key, None)

    def all(self) -> list[LeaseChannel]:
        return list(self._channels.values())

    def chunk(self, chunk: JournalChunk) -> None:
        channel = self._channels.get(chunk.lease_id)
        if channel is not None:
            channel.add_journal(chunk.journal, chunk.continues)

    def settle(self, results: OpResults) -> None:
        now_ms = self._host.ports.clock.now_ms()
        for result in results.results:
            channel = self._channels.get(result.lease_id)
            # Who stood still may read an answer before its timers ring: it is no leave to go on behind the lease's end.
            if channel is not None and not self._expired(channel, now_ms):
                channel.pipe.settle(result)

    def notice(self, notices: Iterable[Notice]) -> None:
        for notice in notices:
            channel = self._channels.get(notice.lease_id)
            if channel is not None:
                channel.notice(notice)

    def lost(self, leases: Iterable[LostLease]) -> None:
        for lost in leases:
            channel = self._channels.get(lost.lease_id)
            if channel is not None:
                channel.lost(_name_of(lost.reason))

    def drop_incomplete(self) -> None:
        """A journal that was cut off will not be continued: its lease is not listed, so the server grants it anew."""
        for channel in self.all():
            if not channel.complete:
                channel.lost("its journal was cut off")
        self._beats.clear()

    def held(self) -> list[HeldLease]:
        """For Hello."""
        self._listed = self.all()
        self._listed_at_ms = self._host.ports.clock.now_ms()
        return [
            HeldLease(
                lease=channel.lease,
                notices_seen=channel.notices_seen,
                last_refused_op_id=channel.pipe.last_refused_op_id,
            )
            for channel in self._listed
        ]

    def judge(self, verdicts: Iterable[Verdict]) -> None:
        """After Welcome: what is kept was renewed by Hello, as by a beat, and sends again whatever has no result."""
        kept = set()
        for verdict in verdicts:
            if verdict.kept:
                kept.add(verdict.lease_id)
                continue
            channel = self._channels.get(verdict.lease_id)
            if channel is not None:
                channel.lost(_name_of(verdict.lost_reason))
        for channel in self.all():
            if channel.key in kept:
                channel.confirmed_at_ms = self._listed_at_ms
                channel.pipe.resend()
            else:
                channel.lost("the server does not know it")
        # Given back between Hello and Welcome: the server does not know that yet.
        for channel in self._listed:
            if channel.is_over and channel.key in kept:
                self._host.release(channel.lease, 0)
        self._listed = []
        # Welcome may have named another time to trust a lease for.
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        self._plan_expiry()

    def beat(self, beat_seq: int) -> list[BeatLease]:
        channels = self.all()
        self._beats[beat_seq] = _SentBeat(self._host.ports.clock.now_ms(), channels)
        return [
            BeatLease(lease_id=channel.key, epoch=channel.lease.epoch, notices_seen=channel.notices_seen)
            for channel in channels
        ]

    def beat_acked(self, beat_seq: int, lost: Iterable[LostLease]) -> None:
        self.lost(lost)
        beat = self._beats.get(beat_seq)
        if beat is not None:
            for channel in beat.channels:
                channel.confirmed_at_ms = beat.sent_at_ms
        for seq in [seq for seq in self._beats if seq <= beat_seq]:
            del self._beats[seq]

    def _plan_expiry(self) -> None:
        if self._expiry is not None or not self._channels:
            return
        oldest_ms = min(channel.confirmed_at_ms for channel in self._channels.values())
        delay_ms = max(1, oldest_ms + self.trust_ms - self._host.ports.clock.now_ms())
        self._expiry = self._host.ports.clock.set_timer(delay_ms, self._expire)

    def _expire(self) -> None:
        self._expiry = None
        now_ms = self._host.ports.clock.now_ms()
        for channel in self.all():
            self._expired(channel, now_ms)
        self._plan_expiry()

    def _expired(self, channel: LeaseChannel, now_ms: float) -> bool:
        """True when the lease is not trusted any more."""
        if now_ms - channel.confirmed_at_ms < self.trust_ms:
            return False
        channel.lost("nobody confirmed it in time")
        return True

    def close(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        self._beats.clear()


def _name_of(reason: int) -> str:
    return enum_name(LeaseEndReason, "LEASE_END_REASON_", reason)
