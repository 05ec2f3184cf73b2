"""May this caller do this? With AWS's answer when not.

Identity policies, the permissions boundary and session policies are judged one
by one. An explicit Deny in any of them refuses; otherwise each kind that exists
must allow. Service control policies and resource policies are not modelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from . import errors, moto_state
from .authentication import Caller
from .conditions import Context
from .policy import Decision, PolicyDocument, Statement, judge
from .principals import ACCOUNT, Principal
from .resources import Resource
from .wire import DEFAULT_REGION, Call
from .world import World
from .worldclock import rfc3339

_IDENTITY = "identity-based policy"
_BOUNDARY = "permissions boundary"
_SESSION = "session policy"
_ARTICLE = {_IDENTITY: "an", _BOUNDARY: "a", _SESSION: "a"}


@dataclass(frozen=True)
class PolicySet:
    """All policies that speak about one caller."""

    identity: Sequence[PolicyDocument]
    boundary: PolicyDocument | None = None
    session: Sequence[PolicyDocument] = ()


@dataclass(frozen=True)
class Verdict:
    """A decision and the kind of policy it is owed to."""

    decision: Decision
    owed_to: str
    matched: tuple[Statement, ...] = ()
    allowed_by_boundary: bool | None = None


def decide(
    policies: PolicySet, action: str, resource: str, context: Context
) -> Verdict:
    """The verdict of all kinds together."""
    judged = [(_IDENTITY, judge(policies.identity, action, resource, context))]
    allowed_by_boundary = None
    if policies.boundary is not None:
        boundary = judge([policies.boundary], action, resource, context)
        allowed_by_boundary = boundary.decision == "allowed"
        judged.append((_BOUNDARY, boundary))
    if policies.session:
        judged.append((_SESSION, judge(policies.session, action, resource, context)))
    for decision in ("explicitDeny", "implicitDeny"):
        for kind, judgement in judged:
            if judgement.decision == decision:
                return Verdict(decision, kind, judgement.matched, allowed_by_boundary)
    return Verdict("allowed", _IDENTITY, judged[0][1].matched, allowed_by_boundary)


def policies_for(caller: Caller) -> PolicySet:
    session = caller.session.policies if caller.session else ()
    return PolicySet(
        moto_state.policies_of(caller.principal),
        moto_state.boundary_of(caller.principal),
        session,
    )


def authorize(world: World, call: Call, caller: Caller, resource: Resource) -> None:
    """Raises AccessDenied unless the caller may; root always may."""
    if caller.principal.kind == "root":
        return
    action = f"{call.service}:{call.action}"
    context = request_context(world, call, caller.principal, resource)
    verdict = decide(policies_for(caller), action, resource.arn, context)
    if verdict.decision != "allowed":
        raise denied(caller.principal, action, resource.arn, verdict)


def denied(
    principal: Principal, action: str, resource: str, verdict: Verdict | None = None
) -> errors.AwsError:
    """AWS's sentence, with the reason it gives within one account."""
    message = (
        f"User: {principal.arn} is not authorized to perform: {action}"
        f" on resource: {resource}"
    )
    if verdict is not None and verdict.decision == "explicitDeny":
        article = _ARTICLE[verdict.owed_to]
        message += f" with an explicit deny in {article} {verdict.owed_to}"
    elif verdict is not None:
        message += f" because no {verdict.owed_to} allows the {action} action"
    return errors.access_denied(message)


def request_context(
    world: World, call: Call, principal: Principal | None, resource: Resource
) -> dict[str, list[str]]:
    """The condition keys of a call; a key that is not here is missing."""
    context = principal_context(principal) if principal else {}
    now = world.clock.now()
    context["aws:currenttime"] = [rfc3339(now)]
    context["aws:epochtime"] = [str(int(now))]
    context["aws:sourceip"] = [call.request.client_ip]
    context["aws:securetransport"] = ["true" if call.request.secure else "false"]
    context["aws:viaawsservice"] = ["false"]
    context["aws:useragent"] = [call.request.headers.get("user-agent", "")]
    region = DEFAULT_REGION if call.service == "iam" else call.region
    context["aws:requestedregion"] = [region]
    for key, value in resource.tags.items():
        context[f"aws:resourcetag/{key.lower()}"] = [value]
        context[f"{call.service}:resourcetag/{key.lower()}"] = [value]
    requested = call.tags()
    for key, value in requested.items():
        context[f"aws:requesttag/{key.lower()}"] = [value]
    if requested:
        context["aws:tagkeys"] = list(requested)
    for parameter, key in _PARAMETER_KEYS.get(call.service, {}).items():
        if call.get(parameter):
            context[key] = [str(call.get(parameter))]
    if call.service == "secretsmanager" and call.get("SecretId"):
        context["secretsmanager:secretid"] = [resource.arn]
    return context


_PARAMETER_KEYS = {
    "iam": {
        "PolicyArn": "iam:policyarn",
        "PermissionsBoundary": "iam:permissionsboundary",
    },
    "sts": {
        "ExternalId": "sts:externalid",
        "RoleSessionName": "sts:rolesessionname",
    },
    "secretsmanager": {
        "Name": "secretsmanager:name",
        "VersionId": "secretsmanager:versionid",
        "VersionStage": "secretsmanager:versionstage",
    },
}


def principal_context(principal: Principal) -> dict[str, list[str]]:
    """The condition keys that say who calls. Only an IAM user has a user name:
    for a role ``${aws:username}`` stays without a value."""
    context = {
        "aws:principalarn": [principal.entity_arn],
        "aws:principalaccount": [ACCOUNT],
        "aws:principaltype": [principal.policy_type],
        "aws:userid": [principal.user_id],
    }
    tags = {}
    if principal.kind == "user":
        context["aws:username"] = [principal.name]
        user = moto_state.find_user(principal.name)
        tags = moto_state.user_tags(user) if user else {}
    elif principal.kind == "role":
        role = moto_state.find_role(principal.name)
        tags = moto_state.role_tags(role) if role else {}
    for key, value in tags.items():
        context[f"aws:principaltag/{key.lower()}"] = [value]
    return context
