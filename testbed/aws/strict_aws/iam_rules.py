"""IAM calls: what is checked before them, and what moto does not do itself.

Order: the parameters' form, the implicit user, permission, then the action.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from . import access_keys, errors, moto_state, simulation
from .authentication import Caller
from .authorization import authorize
from .errors import AwsError
from .resources import iam_resource
from .wire import Answer, Call, result_answer
from .world import World

_IMPLICIT_USER = frozenset(
    {
        "CreateAccessKey",
        "UpdateAccessKey",
        "DeleteAccessKey",
        "ListAccessKeys",
        "GetUser",
        "ListMFADevices",
    }
)
_REQUIRED = {
    "UpdateAccessKey": ("AccessKeyId", "Status"),
    "DeleteAccessKey": ("AccessKeyId",),
    "GetAccessKeyLastUsed": ("AccessKeyId",),
}


def serve(world: World, call: Call, caller: Caller) -> Answer:
    _check_form(call)
    if call.action == "GetAccessKeyLastUsed":
        return access_keys.last_used(world, call, caller)
    if call.action in _IMPLICIT_USER and not call.get("UserName"):
        if caller.principal.kind == "root":
            return _serve_root_itself(world, call)
        call = call.with_parameters(UserName=_implicit_user(caller))
    authorize(world, call, caller, iam_resource(call))
    rule = _RULES.get(call.action)
    return rule(world, call) if rule else moto_state.forward(call)


def _check_form(call: Call) -> None:
    """AWS looks at the form of the parameters before it looks at the account."""
    for name in _REQUIRED.get(call.action, ()):
        if not call.get(name):
            raise errors.constraint_violated(name, None, "Member must not be null")
    user_name = call.get("UserName")
    if user_name is not None and not re.fullmatch(r"[\w+=,.@-]{1,128}", user_name):
        raise errors.validation_error(
            "The specified value for userName is invalid. It must contain only"
            " alphanumeric characters and/or the following: +=,.@_-"
        )
    key_id = call.get("AccessKeyId")
    if key_id is not None and not re.fullmatch(r"\w{16,128}", key_id):
        raise errors.constraint_violated(
            "AccessKeyId",
            key_id,
            "Member must satisfy regular expression pattern: [\\w]+, with a length"
            " of 16 to 128",
        )
    status = call.get("Status")
    if call.action == "UpdateAccessKey" and status not in ("Active", "Inactive"):
        raise errors.constraint_violated(
            "Status", status, "Member must satisfy enum value set: [Active, Inactive]"
        )
    max_items = call.get("MaxItems")
    if max_items is not None and not re.fullmatch(r"[1-9]\d{0,2}|1000", max_items):
        raise errors.constraint_violated(
            "MaxItems", max_items, "Member must have value between 1 and 1000"
        )


def _implicit_user(caller: Caller) -> str:
    """The caller's own user. Only a long-term key says which user that is."""
    if caller.principal.kind != "user":
        raise errors.validation_error(
            "Must specify userName when calling with non-User credentials"
        )
    return caller.principal.name


def _serve_root_itself(world: World, call: Call) -> Answer:
    """On AWS such a call is about root's own credentials, and creates or deletes
    root keys. The boot key is all the root there is here."""
    if call.action == "ListAccessKeys":
        return access_keys.list_root_keys(world, call)
    raise errors.not_modelled(f"{call.action} on the root user")


def _create_user(world: World, call: Call) -> Answer:
    boundary = call.get("PermissionsBoundary")
    if boundary:
        _require_policy(boundary)
    answer = moto_state.forward(call)
    if boundary:
        moto_state.require_user(call.get("UserName")).boundary_arn = boundary
    return answer


def _update_user(world: World, call: Call) -> Answer:
    """moto loses a renamed user's keys and tags."""
    raise errors.not_modelled("renaming or moving a user")


def _attach(world: World, call: Call) -> Answer:
    moto_state.bring_in_aws_managed_policy(call.get("PolicyArn") or "")
    return moto_state.forward(call)


def _delete_user(world: World, call: Call) -> Answer:
    """A user can only be deleted when nothing hangs on it any more."""
    user = moto_state.require_user(call.get("UserName"))
    holdings = {
        "delete access keys": user.access_keys,
        "remove users from group": moto_state.iam().get_groups_for_user(user.name),
    }
    for remedy, held in holdings.items():
        if held:
            raise AwsError(
                "DeleteConflict", f"Cannot delete entity, must {remedy} first.", 409
            )
    return moto_state.forward(call)


def _put_boundary(world: World, call: Call) -> Answer:
    user = moto_state.require_user(call.get("UserName"))
    _require_policy(call.get("PermissionsBoundary"))
    user.boundary_arn = call.get("PermissionsBoundary")
    return result_answer(call)


def _delete_boundary(world: World, call: Call) -> Answer:
    user = moto_state.require_user(call.get("UserName"))
    if user.boundary_arn is None:
        raise errors.no_such_entity(
            f"User {user.name} does not have a permissions boundary."
        )
    user.boundary_arn = None
    return result_answer(call)


def _require_policy(arn: str) -> None:
    moto_state.bring_in_aws_managed_policy(arn)
    if arn not in moto_state.iam().managed_policies:
        raise errors.no_such_entity(
            f"Policy {arn} does not exist or is not attachable."
        )


_RULES: dict[str, Callable[[World, Call], Answer]] = {
    "CreateAccessKey": access_keys.create,
    "UpdateAccessKey": access_keys.update,
    "DeleteAccessKey": access_keys.delete,
    "ListAccessKeys": access_keys.list_keys,
    "CreateUser": _create_user,
    "UpdateUser": _update_user,
    "DeleteUser": _delete_user,
    "AttachUserPolicy": _attach,
    "AttachGroupPolicy": _attach,
    "AttachRolePolicy": _attach,
    "PutUserPermissionsBoundary": _put_boundary,
    "DeleteUserPermissionsBoundary": _delete_boundary,
    "SimulatePrincipalPolicy": simulation.simulate_principal,
    "SimulateCustomPolicy": simulation.simulate_custom,
}
