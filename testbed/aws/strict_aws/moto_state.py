"""moto: where users, roles, policies and secrets are kept.

moto is called in process, without its HTTP server and with its own
authorization off. This module is the only one that imports it for its state,
and the only one that bends it:

* its dates come from the world clock;
* its quota of two access keys is lifted, since the quota is a rule of
  ``access_keys`` here and a test may switch it off;
* its users get ids in AWS's form and can hold a permissions boundary.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import moto.iam.models as iam_models
import moto.secretsmanager.models as secrets_models
from moto.core.exceptions import ServiceException
from moto.core.model_instances import reset_model_data
from moto.core.request import Request
from moto.core.utils import get_service_model
from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import (
    AccessKey,
    AccessKeyLastUsed,
    AWSManagedPolicy,
    IAMBackend,
    Role,
    User,
    iam_backends,
)
from moto.iam.responses import IamResponse
from moto.iam.utils import generate_access_key_id_from_account_id
from moto.secretsmanager.models import SecretsManagerBackend, secretsmanager_backends
from moto.secretsmanager.responses import SecretsManagerResponse

from . import errors
from .errors import AwsError
from .policy import PolicyDocument
from .principals import ACCOUNT, Principal
from .wire import IAM_VERSION, Answer, Call, json_answer, xml_answer
from .worldclock import WorldClock

_AWS_MANAGED = "arn:aws:iam::aws:policy/"
_STATUS_OF_IAM_CODE = {
    "NoSuchEntity": 404,
    "EntityAlreadyExists": 409,
    "DeleteConflict": 409,
    "LimitExceeded": 409,
}


class StrictUser(User):
    """moto's user with an AIDA id and room for a permissions boundary."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.id = generate_access_key_id_from_account_id(ACCOUNT, "AIDA", 21)
        self.boundary_arn: str | None = None

    @property
    def permissions_boundary(self) -> dict[str, str] | None:
        """moto renders this attribute into GetUser's answer."""
        if self.boundary_arn is None:
            return None
        return {
            "PermissionsBoundaryType": "Policy",
            "PermissionsBoundaryArn": self.boundary_arn,
        }


def install(clock: WorldClock) -> None:
    """Puts moto on the world clock and fits the classes above."""
    iam_models.utcnow = clock.utcnow
    secrets_models.utcnow = clock.utcnow
    secrets_models.time = SimpleNamespace(time=clock.now)  # type: ignore[assignment]
    iam_models.User = StrictUser  # type: ignore[misc]
    iam_models.LIMIT_KEYS_PER_USER = 1_000_000


def reset() -> None:
    """Forgets everything; moto builds its stores anew when next asked."""
    iam_backends.clear()
    secretsmanager_backends.clear()
    reset_model_data()


def warm_up() -> None:
    """Lets botocore load the service descriptions before the first real call."""
    for service in ("iam", "sts", "secretsmanager"):
        actions_of(service)
    forward_iam("ListUsers", {}, "warm-up")


@cache
def actions_of(service: str) -> frozenset[str]:
    """Every action the service has on AWS, whether or not it is modelled here."""
    return frozenset(get_service_model(service).operation_names)


def iam() -> IAMBackend:
    return iam_backends[ACCOUNT]["aws"]


def secrets(region: str) -> SecretsManagerBackend:
    return secretsmanager_backends[ACCOUNT][region]


def find_user(name: str) -> StrictUser | None:
    return iam().users.get(name)  # type: ignore[return-value]


def require_user(name: str) -> StrictUser:
    user = find_user(name)
    if user is None:
        raise errors.no_such_entity(f"The user with name {name} cannot be found.")
    return user


def find_role(name: str) -> Role | None:
    for role in iam().roles.values():
        if role.name == name:
            return role
    return None


def find_key(key_id: str) -> AccessKey | None:
    return iam().access_keys.get(key_id)


def policies_of(principal: Principal) -> list[PolicyDocument]:
    """The identity policies: inline, attached, and those of a user's groups."""
    if principal.kind == "user":
        user = find_user(principal.name)
        if user is None:
            return []
        documents = documents_of(user)
        for group in iam().get_groups_for_user(user.name):
            documents += documents_of(group)
        return documents
    role = find_role(principal.name)
    return documents_of(role) if role else []


def boundary_of(principal: Principal) -> PolicyDocument | None:
    """The permissions boundary, ``None`` when there is none.

    A boundary that names a policy which is gone allows nothing.
    """
    arn = None
    if principal.kind == "user":
        user = find_user(principal.name)
        arn = user.boundary_arn if user else None
    elif principal.kind == "role":
        role = find_role(principal.name)
        arn = role.permissions_boundary_arn if role else None
    return managed_policy(arn) if arn else None


def managed_policy(arn: str) -> PolicyDocument:
    policy = iam().managed_policies.get(arn)
    if policy is None:
        return PolicyDocument(arn, json.dumps({"Statement": []}))
    for version in policy.versions:
        if version.is_default:
            return PolicyDocument(policy.name, version.document)
    raise errors.internal_failure(f"{arn} has no default version")


def bring_in_aws_managed_policy(arn: str) -> None:
    """Makes AWS's own policy known when it is first used. All fifteen hundred of
    them would make every reset slow."""
    backend = iam()
    path_and_name = arn.removeprefix(_AWS_MANAGED)
    if path_and_name == arn or arn in backend.managed_policies:
        return
    name = path_and_name.rpartition("/")[2]
    data = _aws_managed_policies().get(name)
    if data is not None:
        policy = AWSManagedPolicy.from_data(name, ACCOUNT, "aws", data)
        backend.managed_policies[policy.arn] = policy


@cache
def _aws_managed_policies() -> dict[str, Any]:
    return json.loads(aws_managed_policies_data)


def documents_of(holder: Any) -> list[PolicyDocument]:
    documents = [PolicyDocument(name, text) for name, text in holder.policies.items()]
    documents += [managed_policy(arn) for arn in holder.managed_policies]
    return documents


def user_tags(user: User) -> dict[str, str]:
    listed = iam().tagger.list_tags_for_resource(user.arn)["Tags"]
    return {tag["Key"]: tag["Value"] for tag in listed}


def role_tags(role: Role) -> dict[str, str]:
    listed = role.tags
    if isinstance(listed, Mapping):
        listed = list(listed.values())
    return {tag["Key"]: tag["Value"] for tag in listed or []}


def forward(call: Call) -> Answer:
    """Hands a call that passed every check to moto."""
    if call.service == "iam":
        return forward_iam(call.action, call.parameters, call.request_id)
    return _forward_secrets(call)


def forward_iam(action: str, parameters: Mapping[str, str], request_id: str) -> Answer:
    fields = {**parameters, "Action": action, "Version": IAM_VERSION}
    request = Request.from_primitives(
        "POST",
        "http://iam.us-east-1.amazonaws.com/",
        {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
        urlencode(fields).encode(),
    )
    try:
        status, _, body = IamResponse.dispatch(request)
    except NotImplementedError:
        raise errors.not_modelled(f"iam:{action}") from None
    if int(status) >= 400:
        raise _iam_error(int(status), body)
    body = re.sub(r"(?<=<RequestId>)[^<]*", request_id, body)
    return xml_answer(int(status), body, request_id)


def _forward_secrets(call: Call) -> Answer:
    request = Request.from_primitives(
        "POST",
        f"http://secretsmanager.{call.region}.amazonaws.com/",
        {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"secretsmanager.{call.action}",
        },
        json.dumps(dict(call.parameters)).encode(),
    )
    try:
        status, _, body = SecretsManagerResponse.dispatch(request)
    except NotImplementedError:
        raise errors.not_modelled(f"secretsmanager:{call.action}") from None
    if int(status) >= 400:
        raise _secrets_error(body)
    return json_answer(int(status), body, call.request_id)


def _iam_error(status: int, body: str) -> AwsError:
    found = {}
    for element in ElementTree.fromstring(body).iter():
        found[element.tag.rpartition("}")[2]] = element.text or ""
    return AwsError(found.get("Code", "Unknown"), found.get("Message", ""), status)


def _secrets_error(body: str) -> AwsError:
    """moto writes the CLI's preamble and line breaks into some of its messages."""
    found = json.loads(body)
    message = found.get("message") or found.get("Message") or ""
    preamble = r"^An error occurred \(\w+\) when calling the \w+ operation: "
    message = re.sub(preamble, "", message)
    code = found.get("__type", "InternalServiceError")
    return AwsError(code, " ".join(message.replace("\\", " ").split()), 400)


def translated(error: ServiceException) -> AwsError:
    """An exception of moto's models, for rules that call them directly."""
    status = _STATUS_OF_IAM_CODE.get(error.code, 400)
    return AwsError(error.code, error.message, status)


def set_last_used(key: AccessKey, at: float, service: str, region: str) -> None:
    """Writes what GetAccessKeyLastUsed will say; ``at`` is world time."""
    moment = datetime.fromtimestamp(at, UTC).replace(tzinfo=None)
    key.last_used = AccessKeyLastUsed(moment, service, region)
