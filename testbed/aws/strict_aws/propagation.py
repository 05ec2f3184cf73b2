"""How long IAM's changes take to be seen.

IAM is eventually consistent and AWS gives no bound. Reported: a new key is
refused for some seconds after CreateAccessKey, a deleted or deactivated key
goes on working for some seconds, and a list may not yet show what was created.
All delays run on the world clock and are judged when a request arrives, so a
test may shorten them afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

LONG_AGO = float("-inf")
"""A moment that no delay reaches."""


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
        self.list_lag = 0.0
        self.soft_quota = False
        self._created_at: dict[str, float] = {}
        self._stopped_at: dict[str, float] = {}
        self._departed: dict[str, DepartedKey] = {}

    def key_created(self, key_id: str, now: float) -> None:
        self._created_at[key_id] = now

    def key_deactivated(self, key_id: str, now: float) -> None:
        """Starts the lingering; deactivating twice does not prolong it."""
        self._stopped_at.setdefault(key_id, now)

    def key_activated(self, key_id: str) -> None:
        self._stopped_at.pop(key_id, None)

    def key_deleted(self, key: DepartedKey, now: float) -> None:
        """An Inactive key that is deleted does not come back to life: its
        lingering counts from the deactivation."""
        self._stopped_at.setdefault(key.key_id, now)
        self._departed[key.key_id] = key

    def departed(self, key_id: str) -> DepartedKey | None:
        return self._departed.get(key_id)

    def key_works(self, key_id: str, now: float) -> bool:
        """Whether the authentication plane takes the key at this moment."""
        created = self._created_at.get(key_id)
        if created is not None and now < created + self.visible:
            return False
        stopped = self._stopped_at.get(key_id)
        return stopped is None or now < stopped + self.linger

    def key_listed(self, key_id: str, now: float) -> bool:
        """Whether ListAccessKeys shows the key yet."""
        created = self._created_at.get(key_id)
        return created is None or now >= created + self.list_lag
