"""Secrets Manager calls: permission, and the rules moto leaves out."""

from __future__ import annotations

from . import errors, moto_state
from .authentication import Caller
from .authorization import authorize
from .errors import AwsError
from .resources import secret_resource
from .wire import Answer, Call
from .world import World

MAX_VALUE_BYTES = 65_536

_REFUSED_WHEN_DELETED = frozenset(
    {
        "GetSecretValue",
        "PutSecretValue",
        "UpdateSecret",
        "UpdateSecretVersionStage",
        "RotateSecret",
        "TagResource",
        "UntagResource",
    }
)


def serve(world: World, call: Call, caller: Caller) -> Answer:
    authorize(world, call, caller, secret_resource(call))
    if call.action == "PutResourcePolicy":
        raise errors.not_modelled("resource policies of secrets")
    _check_size(call)
    _check_not_deleted(call)
    return moto_state.forward(call)


def _check_size(call: Call) -> None:
    """The limit is in bytes of UTF-8, not in characters."""
    value = call.get("SecretString")
    if isinstance(value, str) and len(value.encode()) > MAX_VALUE_BYTES:
        raise errors.validation_error(
            "1 validation error detected: Value at 'secretString' failed to satisfy"
            " constraint: Member must have length less than or equal to"
            f" {MAX_VALUE_BYTES}"
        )


def _check_not_deleted(call: Call) -> None:
    """A deleted secret stays for its recovery window, and can only be restored."""
    if call.action not in _REFUSED_WHEN_DELETED:
        return
    secret_id = str(call.get("SecretId") or "")
    secret = moto_state.secrets(call.region).secrets.get(secret_id)
    if secret is not None and secret.is_deleted():
        raise AwsError(
            "InvalidRequestException",
            "You can't perform this operation on the secret because it was marked for"
            " deletion.",
            400,
        )
