"""The five access key actions, by AWS's rules.

* A user has at most two keys; Inactive ones count. The quota can't be raised.
* A key is found only under the user the call names: another user's key, or an
  unknown one, is NoSuchEntity.
* ListAccessKeys pages like every IAM list.
* GetAccessKeyLastUsed of a key that was never used gives no date and ``N/A``;
  of a key that is not in the account it answers AccessDenied, since there is no
  user whose policies could allow it.
"""

from __future__ import annotations

import base64
from typing import Any

from moto.iam.models import AccessKey

from . import errors, moto_state
from .authentication import Caller
from .authorization import authorize, denied
from .errors import AwsError
from .moto_state import StrictUser
from .principals import ROOT_KEY_ID
from .propagation import DepartedKey
from .resources import user_resource
from .wire import Answer, Call, result_answer
from .world import World

KEYS_PER_USER = 2


def create(world: World, call: Call) -> Answer:
    user = moto_state.require_user(call.get("UserName"))
    if len(user.access_keys) >= KEYS_PER_USER:
        raise AwsError(
            "LimitExceeded",
            f"Cannot exceed quota for AccessKeysPerUser: {KEYS_PER_USER}",
            409,
        )
    key = moto_state.iam().create_access_key(user.name)
    world.propagation.key_created(key.access_key_id, world.clock.now())
    shown = {
        "UserName": user.name,
        "AccessKeyId": key.access_key_id,
        "Status": key.status,
        "SecretAccessKey": key.secret_access_key,
        "CreateDate": key.create_date,
    }
    return result_answer(call, {"AccessKey": shown})


def update(world: World, call: Call) -> Answer:
    user = moto_state.require_user(call.get("UserName"))
    key = _key_of(user, call.get("AccessKeyId"))
    key.status = call.get("Status")
    if key.status == "Active":
        world.propagation.key_activated(key.access_key_id)
    else:
        world.propagation.key_deactivated(key.access_key_id, world.clock.now())
    return result_answer(call)


def delete(world: World, call: Call) -> Answer:
    user = moto_state.require_user(call.get("UserName"))
    key = _key_of(user, call.get("AccessKeyId"))
    departed = DepartedKey(key.access_key_id, key.secret_access_key, user.name)
    moto_state.iam().delete_access_key(key.access_key_id, user.name)
    world.propagation.key_deleted(departed, world.clock.now())
    return result_answer(call)


def list_keys(world: World, call: Call) -> Answer:
    user = moto_state.require_user(call.get("UserName"))
    shown = [
        {
            "UserName": user.name,
            "AccessKeyId": key.access_key_id,
            "Status": key.status,
            "CreateDate": key.create_date,
        }
        for key in user.access_keys
    ]
    result = {"UserName": user.name, **page(call, "AccessKeyMetadata", shown)}
    return result_answer(call, result)


def list_root_keys(world: World, call: Call) -> Answer:
    """Root that names no user lists its own keys."""
    shown = [{"AccessKeyId": ROOT_KEY_ID, "Status": "Active"}]
    return result_answer(call, {"AccessKeyMetadata": shown, "IsTruncated": False})


def last_used(world: World, call: Call, caller: Caller) -> Answer:
    """Authorized on the user who owns the key, not on the key."""
    key_id = call.get("AccessKeyId")
    key = moto_state.find_key(key_id)
    if key is None:
        raise denied(
            caller.principal, "iam:GetAccessKeyLastUsed", f"access key {key_id}"
        )
    authorize(world, call, caller, user_resource(key.user_name or ""))
    used: dict[str, Any] = {"Region": "N/A", "ServiceName": "N/A"}
    if key.last_used is not None:
        used = {
            "LastUsedDate": key.last_used.timestamp,
            "Region": key.last_used.region,
            "ServiceName": key.last_used.service,
        }
    result = {"UserName": key.user_name, "AccessKeyLastUsed": used}
    return result_answer(call, result)


def page(call: Call, name: str, items: list[Any]) -> dict[str, Any]:
    """One page of a list by ``MaxItems`` and ``Marker``. AWS's marker is opaque;
    this one is the number of items already shown."""
    start = _read_marker(call.get("Marker"))
    size = int(call.get("MaxItems") or 100)
    rest = items[start + size :]
    result = {name: items[start : start + size], "IsTruncated": bool(rest)}
    if rest:
        marker = base64.urlsafe_b64encode(str(start + size).encode())
        result["Marker"] = marker.decode()
    return result


def _read_marker(marker: str | None) -> int:
    if marker is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(marker.encode()))
    except ValueError:
        raise errors.validation_error("Invalid Marker.") from None


def _key_of(user: StrictUser, key_id: str) -> AccessKey:
    for key in user.access_keys:
        if key.access_key_id == key_id:
            return key
    raise errors.no_such_entity(f"The Access Key with id {key_id} cannot be found.")
