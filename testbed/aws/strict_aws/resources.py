"""Which resource an IAM or Secrets Manager call is about.

Policies are matched against the ARN with its path, as the Service
Authorization Reference lists it for each action. Actions that have no resource
there are matched against ``*``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from . import moto_state
from .principals import ACCOUNT
from .wire import Call

_LISTINGS = {
    "ListUsers": "user",
    "ListRoles": "role",
    "ListGroups": "group",
    "ListPolicies": "policy",
    "ListInstanceProfiles": "instance-profile",
}
_CREATIONS = {
    "CreateUser": ("user", "UserName"),
    "CreateRole": ("role", "RoleName"),
    "CreateGroup": ("group", "GroupName"),
    "CreatePolicy": ("policy", "PolicyName"),
    "CreateInstanceProfile": ("instance-profile", "InstanceProfileName"),
}
_SECRETS_WITHOUT_RESOURCE = frozenset(
    {"ListSecrets", "GetRandomPassword", "BatchGetSecretValue"}
)


@dataclass(frozen=True)
class Resource:
    arn: str
    tags: Mapping[str, str] = field(default_factory=dict)


ANY = Resource("*")


def _iam_arn(rest: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:{rest}"


def iam_resource(call: Call) -> Resource:
    """The resource of an IAM call whose implicit user has been filled in."""
    action = call.action
    if action in _LISTINGS:
        prefix = call.get("PathPrefix") or "/"
        return Resource(_iam_arn(_LISTINGS[action] + prefix))
    if action in _CREATIONS:
        kind, parameter = _CREATIONS[action]
        path = call.get("Path") or "/"
        return Resource(_iam_arn(f"{kind}{path}{call.get(parameter) or ''}"))
    if action == "CreateOpenIDConnectProvider":
        url = urlsplit(call.get("Url") or "")
        return Resource(_iam_arn(f"oidc-provider/{url.netloc}{url.path}"))
    for parameter in ("OpenIDConnectProviderArn", "SAMLProviderArn", "PolicySourceArn"):
        if call.get(parameter):
            return Resource(call.get(parameter))
    if call.get("GroupName"):
        return _group(call.get("GroupName"))
    if call.get("InstanceProfileName"):
        return Resource(_iam_arn(f"instance-profile/{call.get('InstanceProfileName')}"))
    if call.get("RoleName"):
        return role_resource(call.get("RoleName"))
    if call.get("UserName"):
        return user_resource(call.get("UserName"))
    if call.get("PolicyArn"):
        return Resource(call.get("PolicyArn"))
    return ANY


def user_resource(name: str) -> Resource:
    """A user that does not exist is judged by the ARN it would have without a path."""
    user = moto_state.find_user(name)
    if user is None:
        return Resource(_iam_arn(f"user/{name}"))
    return Resource(user.arn, moto_state.user_tags(user))


def role_resource(name: str) -> Resource:
    role = moto_state.find_role(name)
    if role is None:
        return Resource(_iam_arn(f"role/{name}"))
    return Resource(role.arn, moto_state.role_tags(role))


def _group(name: str) -> Resource:
    group = moto_state.iam().groups.get(name)
    return Resource(group.arn if group else _iam_arn(f"group/{name}"))


def secret_resource(call: Call) -> Resource:
    """A secret's ARN ends in six random characters, so policies are written with
    ``-??????`` or the full ARN. What is asked for by a name that does not exist
    is judged by that name, which only ``*`` matches."""
    if call.action in _SECRETS_WITHOUT_RESOURCE:
        return ANY
    if call.action == "CreateSecret":
        name = call.get("Name")
        return Resource(
            f"arn:aws:secretsmanager:{call.region}:{ACCOUNT}:secret:{name}-AAAAAA"
        )
    secret_id = str(call.get("SecretId") or "")
    secret = moto_state.secrets(call.region).secrets.get(secret_id)
    if secret is None:
        return Resource(secret_id)
    tags = {tag["Key"]: tag.get("Value", "") for tag in secret.tags or []}
    return Resource(secret.arn, tags)
