"""The stand-in's two clocks.

The *world* clock is the wall clock plus every advance a test asked for. It
dates what AWS dates: the ``Date`` header, creation and last-use dates, session
expiry, propagation.

Signatures are judged by the wall clock plus the skew: clients sign with their
own clocks, and those stay where they are when a test moves the world a week
ahead. They are judged by the world clock plus the skew as well: some SDKs (the
one for Rust among them) learn the ``Date`` header of each answer and sign the
next request with it, so they follow the world from their second call on. A
signature that is in time by either clock is in time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate


class WorldClock:
    """Wall time, moved by tests."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self.advanced = 0.0
        self.skew = 0.0

    def reset(self) -> None:
        self.advanced = 0.0
        self.skew = 0.0

    def advance(self, seconds: float) -> None:
        self.advanced += seconds

    def now(self) -> float:
        """World time in seconds since the epoch."""
        return self._wall() + self.advanced

    def utcnow(self) -> datetime:
        """World time as the naive UTC datetime that moto works with."""
        return datetime.fromtimestamp(self.now(), UTC).replace(tzinfo=None)

    def client_now(self) -> float:
        """Wall time: where clients are that know nothing of the world's clock."""
        return self._wall()

    def signature_clocks(self) -> tuple[float, float]:
        """The moments a signature's date may be held against."""
        return self.client_now() + self.skew, self.now() + self.skew

    def http_date(self) -> str:
        """The ``Date`` header: a skewed server shows its skew to everyone."""
        return formatdate(self.now() + self.skew, usegmt=True)


def rfc3339(seconds: float) -> str:
    """Seconds since the epoch as ``2026-11-23T03:00:07Z``, as AWS writes dates."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_of(naive_utc: datetime) -> float:
    """The inverse of :meth:`WorldClock.utcnow`."""
    return naive_utc.replace(tzinfo=UTC).timestamp()
