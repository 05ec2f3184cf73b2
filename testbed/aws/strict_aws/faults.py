"""What a test can make go wrong with a call, and calls that arrive late."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .wire import Call
from .worldclock import WorldClock

MODES = {
    "error": "refused with the given status, code and message; not applied",
    "before": "connection dropped; not applied",
    "after": "applied, then the connection is dropped without an answer",
    "late": "connection dropped; applied when the world is `seconds` older",
    "delay": "held for `seconds` before it is applied (or after: `apply_first`)",
    "body": "answered with the given body; applied first only with `apply`",
}


_FORMS = {
    "action": str,
    "mode": str,
    "times": int | None,
    "skip": int,
    "match": dict,
    "signed_by": str | None,
    "status": int,
    "code": str,
    "message": str,
    "seconds": int | float,
    "apply_first": bool,
    "content_type": str,
    "body": str,
    "apply": bool,
}


class FaultError(ValueError):
    """A fault that can't be armed as described."""


@dataclass
class Fault:
    """An armed fault. Every matching call counts: the first ``skip`` pass, the
    next ``times`` are struck (``None``: all of them)."""

    action: str
    mode: str
    times: int | None = 1
    skip: int = 0
    match: dict[str, Any] = field(default_factory=dict)
    signed_by: str | None = None
    status: int = 400
    code: str = "Throttling"
    message: str = "Rate exceeded"
    seconds: float = 0.0
    apply_first: bool = False
    content_type: str = "text/html"
    body: str = ""
    apply: bool = False

    @classmethod
    def described(cls, wish: Mapping[str, Any]) -> Fault:
        """Reads a fault from JSON; a name it does not know is an error."""
        unknown = sorted(set(wish) - set(cls.__dataclass_fields__))
        if unknown:
            known = ", ".join(cls.__dataclass_fields__)
            raise FaultError(f"unknown: {', '.join(unknown)}; known: {known}")
        for name in ("action", "mode"):
            if not isinstance(wish.get(name), str):
                raise FaultError(f"{name} is missing")
        if wish["mode"] not in MODES:
            raise FaultError(f"mode is one of {', '.join(MODES)}")
        for name, value in wish.items():
            if not isinstance(value, _FORMS[name]):
                raise FaultError(f"{name} is not of type {_FORMS[name]}")
        if wish["mode"] in ("late", "delay") and "seconds" not in wish:
            raise FaultError(f"mode {wish['mode']} needs seconds")
        fault = cls(**wish)
        if fault.mode == "body" and "status" not in wish:
            fault.status = 200
        return fault

    def matches(self, call: Call, key_id: str | None) -> bool:
        if self.action not in ("*", call.action):
            return False
        if self.signed_by is not None and self.signed_by != key_id:
            return False
        for name, value in self.match.items():
            if str(call.get(name)) != str(value):
                return False
        return True


class Faults:
    """The armed faults, oldest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[Fault] = []

    def reset(self) -> int:
        with self._lock:
            cleared = len(self._armed)
            self._armed.clear()
            return cleared

    def arm(self, fault: Fault) -> None:
        with self._lock:
            self._armed.append(fault)

    def armed(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(fault) for fault in self._armed]

    def strike(self, call: Call, key_id: str | None) -> Fault | None:
        """The fault that hits this call.

        Every fault counts every call it matches, so ``skip`` is a number of
        calls since it was armed, whatever else is armed; the oldest one that is
        due strikes.
        """
        struck = None
        with self._lock:
            for fault in self._armed:
                if not fault.matches(call, key_id):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                elif struck is None:
                    struck = fault
            if struck is not None and struck.times is not None:
                struck.times -= 1
                if struck.times <= 0:
                    self._armed.remove(struck)
        return struck


class LateCalls:
    """Calls whose connection is gone and which will still be applied.

    They are due by the world clock: they come true by waiting, or at once when
    a test advances the clock past them.
    """

    def __init__(self, clock: WorldClock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._applying = threading.RLock()
        self._order = itertools.count()
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._started = False

    def reset(self) -> None:
        with self._changed:
            self._waiting.clear()

    def schedule(self, seconds: float, apply: Callable[[], None]) -> None:
        with self._changed:
            due = self._clock.now() + seconds
            heapq.heappush(self._waiting, (due, next(self._order), apply))
            if not self._started:
                self._started = True
                threading.Thread(target=self._watch, daemon=True).start()
            self._changed.notify()

    def apply_due(self) -> None:
        """Applies what is due; returns when it has been applied, whoever did it."""
        with self._applying:
            while (apply := self._take_due()) is not None:
                apply()

    def _take_due(self) -> Callable[[], None] | None:
        with self._changed:
            if self._waiting and self._waiting[0][0] <= self._clock.now():
                return heapq.heappop(self._waiting)[2]
            return None

    def _watch(self) -> None:
        while True:
            with self._changed:
                pause = None
                if self._waiting:
                    pause = max(0.0, self._waiting[0][0] - self._clock.now())
                if pause is None or pause > 0:
                    self._changed.wait(pause)
            self.apply_due()
