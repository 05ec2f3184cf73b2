"""Everything the stand-in remembers, and how it is forgotten."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

from . import moto_state
from .faults import Faults
from .journal import Journal
from .propagation import Propagation
from .sessions import Sessions
from .worldclock import WorldClock


@dataclass
class World:
    """One AWS account."""

    jwks: Path | None = None
    """Keys of the OpenID Connect issuers; without them signatures of tokens are
    not checked."""
    clock: WorldClock = field(default_factory=WorldClock)
    propagation: Propagation = field(default_factory=Propagation)
    sessions: Sessions = field(default_factory=Sessions)
    faults: Faults = field(default_factory=Faults)
    journal: Journal = field(default_factory=Journal)
    lock: threading.RLock = field(default_factory=threading.RLock)
    """Held while a call is judged and applied: calls take effect one by one."""
    generation: int = 0
    """Counts resets. A call held back by a fault must not reach into the world
    of the next test."""

    def __post_init__(self) -> None:
        moto_state.install(self.clock)

    def reset(self) -> None:
        with self.lock:
            self.generation += 1
            self.faults.reset()
            self.journal.reset()
            self.sessions.reset()
            self.propagation.reset()
            self.clock.reset()
            moto_state.reset()
