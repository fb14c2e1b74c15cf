"""What a bridge records about itself each second: rate, lag, how far it has read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from time import monotonic

from iotplatform.adapters.mqtt.link import BridgeLink, Received
from state.services.presence.adapter_liveness import Beat

SMOOTHING = 0.3  # weight of the newest second in the displayed rate


class SlotStats:
    """The counters of one slot since its last heartbeat."""

    def __init__(self, slot: int, owner: str) -> None:
        self._slot = slot
        self._owner = owner
        self._messages = self._batches = self._retained = 0
        self._rate = 0.0
        self._worst_lag = 0.0
        self._beat_at = monotonic()
        self._caught_up_at: datetime | None = None

    def count(self, received: Sequence[Received]) -> None:
        self._retained += sum(message.retained for message in received)

    def committed(self, messages: Sequence[Received]) -> None:
        """Count committed messages, and how long they took."""
        if messages:
            self._messages += len(messages)
            self._batches += 1
            lag = datetime.now(UTC) - min(message.at for message in messages)
            self._worst_lag = max(self._worst_lag, lag.total_seconds())

    def beat(self, link: BridgeLink, pending: Iterable[Received]) -> Beat:
        """Return the figures since the last heartbeat, and reset them."""
        elapsed = max(monotonic() - self._beat_at, 0.001)
        rate = self._messages / elapsed
        self._rate += SMOOTHING * (rate - self._rate)
        beat = Beat(
            slot=self._slot,
            owner=self._owner,
            caught_up_at=self._read_up_to(link, pending),
            messages=self._messages,
            batches=self._batches,
            retained=self._retained,
            rate=round(self._rate, 1),
            lag_seconds=round(self._worst_lag, 3),
        )
        self._messages = self._batches = self._retained = 0
        self._worst_lag = 0.0
        self._beat_at = monotonic()
        return beat

    def _read_up_to(
        self, link: BridgeLink, pending: Iterable[Received]
    ) -> datetime | None:
        """Return the time up to which everything sent to the broker is committed.

        The socket was empty while the window had room, so the broker held no message
        back at that time. Messages that are not committed yet move the time back.
        """
        if link.drained_at is None:
            return self._caught_up_at
        waiting = [message.at for message in pending if message.slot == self._slot]
        self._caught_up_at = min([link.drained_at, *waiting])
        return self._caught_up_at
