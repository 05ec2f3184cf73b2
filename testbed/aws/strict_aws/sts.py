"""STS: who am I, and sessions of roles.

Answered here and not by moto, which hands out sessions of roles that do not
exist and reads neither trust policies nor tokens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from moto.iam.models import Role

from . import errors, moto_state
from .authentication import Caller
from .authorization import decide, denied, policies_for, request_context
from .conditions import as_list
from .errors import AwsError
from .oidc import WebIdentity, check_token
from .policy import PolicyDocument, Statement, statements_of
from .principals import ACCOUNT, Principal, role_principal
from .resources import ANY, role_resource
from .sessions import Session
from .wire import Answer, Call, result_answer
from .world import World

UNSIGNED = frozenset({"AssumeRoleWithWebIdentity"})
"""Actions whose proof is in the parameters."""

_CHAINED_SECONDS = 3600
_SESSION_NAME = r"[\w+=,.@-]{2,64}"


def serve(world: World, call: Call, caller: Caller) -> Answer:
    rule = _RULES.get(call.action)
    if rule is None:
        raise errors.not_modelled(f"sts:{call.action}")
    return rule(world, call, caller)


def _get_caller_identity(world: World, call: Call, caller: Caller) -> Answer:
    """Needs no permission and can't be denied: the way to prove that a key works."""
    principal = caller.principal
    result = {"UserId": principal.user_id, "Account": ACCOUNT, "Arn": principal.arn}
    return result_answer(call, result)


def _get_access_key_info(world: World, call: Call, caller: Caller) -> Answer:
    return result_answer(call, {"Account": ACCOUNT})


def _get_session_token(world: World, call: Call, caller: Caller) -> Answer:
    if caller.session is not None:
        raise errors.access_denied(
            "Cannot call GetSessionToken with session credentials"
        )
    seconds = _duration(call, default=43_200, at_least=900, at_most=129_600)
    session = world.sessions.open(caller.principal, world.clock.now() + seconds)
    return result_answer(call, {"Credentials": _credentials(session)})


def _assume_role(world: World, call: Call, caller: Caller) -> Answer:
    """The trust policy must let the caller in. Where it names the account and not
    the caller, the caller's own policies must allow it as well; an explicit Deny
    in them always counts."""
    seconds = _duration(call, default=3600, at_least=900, at_most=43_200)
    _check_session_name(call)
    arn = call.get("RoleArn") or ""
    principal = caller.principal
    if principal.kind == "root":
        raise errors.access_denied("Roles may not be assumed by root accounts.")
    role = _role_of(arn)
    if role is None:
        raise denied(principal, "sts:AssumeRole", arn)
    resource = role_resource(role.name)
    context = request_context(world, call, principal, resource)
    trusted = _trust(role, "sts:AssumeRole", context, _names_caller(principal))
    verdict = decide(policies_for(caller), "sts:AssumeRole", arn, context)
    if trusted is None or verdict.decision == "explicitDeny":
        raise denied(principal, "sts:AssumeRole", arn)
    if trusted == "account" and verdict.decision != "allowed":
        raise denied(principal, "sts:AssumeRole", arn, verdict)
    _check_duration(seconds, role, chained=caller.session is not None)
    session = _open(world, call, role, seconds)
    return result_answer(call, _session_result(session))


def assume_role_with_web_identity(world: World, call: Call) -> Answer:
    """Unsigned: the token says who calls, and only the trust policy decides."""
    seconds = _duration(call, default=3600, at_least=900, at_most=43_200)
    _check_session_name(call)
    token = call.get("WebIdentityToken") or ""
    identity = check_token(token, world.clock, world.jwks)
    role = _role_of(call.get("RoleArn") or "")
    refused = errors.access_denied(
        "Not authorized to perform sts:AssumeRoleWithWebIdentity"
    )
    if role is None:
        raise refused
    context = request_context(world, call, None, ANY)
    context |= _token_context(identity)

    def names_provider(statement: Statement) -> str | None:
        federated = _named(statement, "Federated")
        return "direct" if identity.provider_arn in federated else None

    action = "sts:AssumeRoleWithWebIdentity"
    if _trust(role, action, context, names_provider) is None:
        raise refused
    _check_duration(seconds, role, chained=False)
    session = _open(world, call, role, seconds)
    result = _session_result(session)
    result["SubjectFromWebIdentityToken"] = identity.subject
    result["Audience"] = identity.audience
    result["Provider"] = identity.provider_arn
    return result_answer(call, result)


def _token_context(identity: WebIdentity) -> dict[str, list[str]]:
    """AWS offers ``sub``, ``aud`` and ``amr`` of a token as condition keys, under
    the issuer's name."""
    context = {
        f"{identity.provider_url}:sub".lower(): [identity.subject],
        f"{identity.provider_url}:aud".lower(): [identity.audience],
    }
    methods = identity.claims.get("amr")
    if methods:
        context[f"{identity.provider_url}:amr".lower()] = as_list(methods)
    return context


def _role_of(arn: str) -> Role | None:
    for role in moto_state.iam().roles.values():
        if role.arn == arn:
            return role
    return None


def _trust(
    role: Role,
    action: str,
    context: Mapping[str, list[str]],
    named: Callable[[Statement], str | None],
) -> str | None:
    """How the trust policy lets the caller in: ``direct``, by the ``account``, or
    ``None`` for not at all."""
    document = PolicyDocument(role.name, role.assume_role_policy_document)
    ways = []
    for statement in statements_of(document):
        way = named(statement)
        if way is None or not statement.applies(action, role.arn, context):
            continue
        if not statement.allows:
            return None
        ways.append(way)
    if "direct" in ways:
        return "direct"
    return "account" if ways else None


def _names_caller(principal: Principal) -> Callable[[Statement], str | None]:
    own = {principal.arn, principal.entity_arn}
    whole_account = {ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", "*"}

    def named(statement: Statement) -> str | None:
        listed = _named(statement, "AWS")
        if own & listed:
            return "direct"
        return "account" if whole_account & listed else None

    return named


def _named(statement: Statement, kind: str) -> set[str]:
    if statement.principal == "*":
        return {"*"}
    if not isinstance(statement.principal, Mapping):
        return set()
    return set(as_list(statement.principal.get(kind, [])))


def _open(world: World, call: Call, role: Role, seconds: int) -> Session:
    name = call.get("RoleSessionName")
    principal = role_principal(role.name, role.id, role.arn, name)
    return world.sessions.open(
        principal, world.clock.now() + seconds, _session_policies(call)
    )


def _session_policies(call: Call) -> tuple[PolicyDocument, ...]:
    documents = []
    if call.get("Policy"):
        try:
            json.loads(call.get("Policy"))
        except ValueError:
            raise AwsError(
                "MalformedPolicyDocument",
                "The policy is not in the valid JSON format.",
                400,
            ) from None
        documents.append(PolicyDocument("session", call.get("Policy")))
    number = 1
    while (arn := call.get(f"PolicyArns.member.{number}.arn")) is not None:
        documents.append(moto_state.managed_policy(arn))
        number += 1
    return tuple(documents)


def _session_result(session: Session) -> dict[str, Any]:
    principal = session.principal
    return {
        "Credentials": _credentials(session),
        "AssumedRoleUser": {
            "AssumedRoleId": principal.user_id,
            "Arn": principal.arn,
        },
    }


def _credentials(session: Session) -> dict[str, Any]:
    expiration = datetime.fromtimestamp(session.expires_at, UTC)
    return {
        "AccessKeyId": session.key_id,
        "SecretAccessKey": session.secret,
        "SessionToken": session.token,
        "Expiration": expiration,
    }


def _check_session_name(call: Call) -> None:
    name = call.get("RoleSessionName")
    if name is None or not re.fullmatch(_SESSION_NAME, name):
        raise errors.constraint_violated(
            "RoleSessionName",
            name,
            "Member must satisfy regular expression pattern: [\\w+=,.@-]*, with a"
            " length of 2 to 64",
        )


def _duration(call: Call, default: int, at_least: int, at_most: int) -> int:
    text = call.get("DurationSeconds")
    if text is None:
        return default
    if not text.isdigit() or not at_least <= int(text) <= at_most:
        raise errors.constraint_violated(
            "DurationSeconds",
            text,
            f"Member must have value between {at_least} and {at_most}",
        )
    return int(text)


def _check_duration(seconds: int, role: Role, chained: bool) -> None:
    if seconds > int(role.max_session_duration or 3600):
        raise errors.validation_error(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this"
            " role."
        )
    if chained and seconds > _CHAINED_SECONDS:
        raise errors.validation_error(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles"
            " assumed by role chaining"
        )


_RULES: dict[str, Callable[[World, Call, Caller], Answer]] = {
    "GetCallerIdentity": _get_caller_identity,
    "GetAccessKeyInfo": _get_access_key_info,
    "GetSessionToken": _get_session_token,
    "AssumeRole": _assume_role,
}
