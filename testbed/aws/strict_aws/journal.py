"""Every call in the order of its arrival, for tests to read afterwards."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

_NEVER_KEPT = frozenset(
    {
        "SecretString",
        "SecretBinary",
        "SecretAccessKey",
        "WebIdentityToken",
        "SessionToken",
        "SAMLAssertion",
        "TokenCode",
        "Password",
        "OldPassword",
        "NewPassword",
    }
)
_SAID_ELSEWHERE = frozenset({"Action", "Version"})


@dataclass
class Entry:
    """One call. ``status`` is the outcome in AWS, even when a fault hid it from
    the client; ``None`` means that nothing was applied or refused. Calls on one connection have the
    same number in ``connection``."""

    n: int
    action: str
    service: str
    key_id: str | None
    principal: str | None
    status: int | None
    code: str | None
    parameters: dict[str, Any]
    at: str
    fault: str | None
    connection: int


class Journal:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[Entry] = []

    def reset(self) -> None:
        with self._lock:
            self._entries.clear()

    def open(
        self,
        action: str,
        service: str,
        key_id: str | None,
        parameters: Mapping[str, Any],
        at: str,
        fault: str | None,
        connection: int,
    ) -> Entry:
        """Starts an entry; the caller fills the outcome in."""
        kept = {}
        for name, value in parameters.items():
            if name not in _NEVER_KEPT and name not in _SAID_ELSEWHERE:
                kept[name] = value
        with self._lock:
            number = len(self._entries) + 1
            entry = Entry(
                number,
                action,
                service,
                key_id,
                None,
                None,
                None,
                kept,
                at,
                fault,
                connection,
            )
            self._entries.append(entry)
        return entry

    def entries(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(entry) for entry in self._entries]
