"""Temporary credentials handed out by STS."""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass

from moto.iam.utils import generate_access_key_id_from_account_id

from .policy import PolicyDocument
from .principals import ACCOUNT, Principal

_SECRET_ALPHABET = string.ascii_letters + string.digits + "+/"


@dataclass(frozen=True)
class Session:
    """One set of temporary credentials and whom they speak for."""

    key_id: str
    secret: str
    token: str
    principal: Principal
    expires_at: float
    """World time, seconds since the epoch."""
    policies: tuple[PolicyDocument, ...]
    """Session policies: they narrow what the role may do, never widen it."""


class Sessions:
    """The sessions still known; an expired one stays, to be refused by name."""

    def __init__(self) -> None:
        self._by_key: dict[str, Session] = {}

    def reset(self) -> None:
        self._by_key.clear()

    def open(
        self,
        principal: Principal,
        expires_at: float,
        policies: tuple[PolicyDocument, ...] = (),
    ) -> Session:
        session = Session(
            key_id=generate_access_key_id_from_account_id(ACCOUNT, "ASIA"),
            secret=new_secret(),
            token="IQoJb3JpZ2luX2Vj" + secrets.token_urlsafe(240),
            principal=principal,
            expires_at=expires_at,
            policies=policies,
        )
        self._by_key[session.key_id] = session
        return session

    def find(self, key_id: str) -> Session | None:
        return self._by_key.get(key_id)

    def all(self) -> list[Session]:
        return list(self._by_key.values())


def new_secret() -> str:
    """Forty characters, as AWS's secret access keys."""
    return "".join(secrets.choice(_SECRET_ALPHABET) for _ in range(40))
