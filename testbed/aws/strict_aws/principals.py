"""Who can call, and which policies speak about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ACCOUNT = "123456789012"
ROOT_KEY_ID = "test"
ROOT_SECRET = "test"
"""The boot key: AWS's root user, for setting tests up."""


@dataclass(frozen=True)
class Principal:
    """A caller as IAM sees it."""

    kind: Literal["root", "user", "role"]
    name: str
    """User or role name; empty for root."""
    user_id: str
    """AIDA… of a user, AROA…:session of an assumed role, the account of root."""
    arn: str
    """As GetCallerIdentity and refusals name it: of a role, the session's ARN."""
    entity_arn: str
    """As trust policies and ``aws:PrincipalArn`` name it: the user or role itself."""

    @property
    def policy_type(self) -> str:
        """The value of ``aws:PrincipalType``."""
        names = {"root": "Account", "user": "User", "role": "AssumedRole"}
        return names[self.kind]


ROOT = Principal(
    kind="root",
    name="",
    user_id=ACCOUNT,
    arn=f"arn:aws:iam::{ACCOUNT}:root",
    entity_arn=f"arn:aws:iam::{ACCOUNT}:root",
)


def user_principal(name: str, user_id: str, arn: str) -> Principal:
    return Principal("user", name, user_id, arn, arn)


def role_principal(
    name: str, role_id: str, role_arn: str, session_name: str
) -> Principal:
    """An assumed role. The session's ARN leaves the role's path out."""
    return Principal(
        kind="role",
        name=name,
        user_id=f"{role_id}:{session_name}",
        arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session_name}",
        entity_arn=role_arn,
    )
