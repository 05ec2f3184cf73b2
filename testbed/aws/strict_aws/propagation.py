"""How long IAM's changes take to be seen.

IAM is eventually consistent and AWS gives no bound. Reported: a new key is
refused for some seconds after CreateAccessKey, and a deleted or deactivated key
goes on working for some seconds.

The delays run on the world clock. Each change is delayed by what was in force
when it was made: setting a delay does not touch the keys a test made before.
Shortening one is felt at once.
"""

from __future__ import annotations

from dataclasses import dataclass

LONG_AGO = float("-inf")
"""A moment that no delay reaches."""


@dataclass(frozen=True)
class _Change:
    """When something happened to a key, and the delays then in force."""

    at: float
    visible: float = 0.0
    linger: float = 0.0


@dataclass(frozen=True)
class DepartedKey:
    """A deleted key, kept because it may still linger."""

    key_id: str
    secret: str
    user_name: str


class Propagation:
    """The delays in force and the moments they count from."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.visible = 0.0
        self.linger = 0.0
        self._created: dict[str, _Change] = {}
        self._stopped: dict[str, _Change] = {}
        self._departed: dict[str, DepartedKey] = {}

    def key_created(self, key_id: str, now: float) -> None:
        self._created[key_id] = self._change(now)

    def key_deactivated(self, key_id: str, now: float) -> None:
        """Starts the lingering; deactivating twice does not prolong it."""
        self._stopped.setdefault(key_id, self._change(now))

    def key_activated(self, key_id: str) -> None:
        self._stopped.pop(key_id, None)

    def key_deleted(self, key: DepartedKey, now: float) -> None:
        """An Inactive key that is deleted does not come back to life: its
        lingering counts from the deactivation."""
        self._stopped.setdefault(key.key_id, self._change(now))
        self._departed[key.key_id] = key

    def departed(self, key_id: str) -> DepartedKey | None:
        return self._departed.get(key_id)

    def all_departed(self) -> list[DepartedKey]:
        return list(self._departed.values())

    def key_works(self, key_id: str, now: float) -> bool:
        """Whether the authentication plane takes the key at this moment."""
        created = self._created.get(key_id)
        if created and now < created.at + min(created.visible, self.visible):
            return False
        stopped = self._stopped.get(key_id)
        return not stopped or now < stopped.at + min(stopped.linger, self.linger)

    def _change(self, now: float) -> _Change:
        return _Change(now, self.visible, self.linger)
