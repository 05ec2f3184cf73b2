"""What a test can make go wrong with a call."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .wire import Call

MODES = {
    "error": "refused with the given status, code and message; not applied",
    "before": "connection dropped; not applied",
    "after": "applied, then the connection is dropped without an answer",
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
        if wish["mode"] == "delay" and "seconds" not in wish:
            raise FaultError("mode delay needs seconds")
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
