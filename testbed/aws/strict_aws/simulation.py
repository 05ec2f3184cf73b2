"""SimulatePrincipalPolicy and SimulateCustomPolicy.

The answer has one result for each action. ``EvalDecision`` is ``allowed`` only
when every resource asked about is allowed; the decision on one resource is
under ``ResourceSpecificResults``. Tags of the resources are not looked up: as
on AWS, a condition key the request does not give is missing.
"""

from __future__ import annotations

from typing import Any

from . import conditions, errors, moto_state
from .authorization import PolicySet, Verdict, decide, principal_context
from .conditions import Context
from .errors import AwsError
from .policy import Decision, PolicyDocument, statements_of
from .principals import ACCOUNT, Principal, role_principal, user_principal
from .wire import Answer, Call, result_answer
from .world import World
from .worldclock import rfc3339

_MOST_RESTRICTIVE_FIRST: tuple[Decision, ...] = ("explicitDeny", "implicitDeny")


def simulate_principal(world: World, call: Call) -> Answer:
    """Judges by the stored policies of a user, group or role."""
    source = call.get("PolicySourceArn") or ""
    identity, principal = _source(source)
    boundary = moto_state.boundary_of(principal) if principal else None
    given_boundary = call.members("PermissionsBoundaryPolicyInputList")
    if given_boundary:
        name = "PermissionsBoundaryPolicyInputList.1"
        boundary = PolicyDocument(name, given_boundary[0])
    policies = PolicySet(identity + _given_policies(call), boundary)
    context = principal_context(principal) if principal else {}
    return _simulate(world, call, policies, context)


def simulate_custom(world: World, call: Call) -> Answer:
    """Judges by the policies in the request alone."""
    return _simulate(world, call, PolicySet(_given_policies(call)), {})


def _source(arn: str) -> tuple[list[PolicyDocument], Principal | None]:
    iam = moto_state.iam()
    for user in iam.users.values():
        if user.arn == arn:
            principal = user_principal(user.name, user.id, user.arn)
            return moto_state.policies_of(principal), principal
    for role in iam.roles.values():
        if role.arn == arn:
            principal = role_principal(role.name, role.id, role.arn, "simulated")
            return moto_state.policies_of(principal), principal
    for group in iam.groups.values():
        if group.arn == arn:
            return moto_state.documents_of(group), None
    if not arn.startswith(f"arn:aws:iam::{ACCOUNT}:"):
        raise AwsError("InvalidInput", f"Invalid Entity Arn: {arn}", 400)
    raise errors.no_such_entity(f"Entity {arn} does not exist")


def _given_policies(call: Call) -> list[PolicyDocument]:
    documents = []
    for number, text in enumerate(call.members("PolicyInputList"), start=1):
        documents.append(PolicyDocument(f"PolicyInputList.{number}", text))
    return documents


def _simulate(
    world: World, call: Call, policies: PolicySet, context: dict[str, list[str]]
) -> Answer:
    now = world.clock.now()
    context["aws:currenttime"] = [rfc3339(now)]
    context["aws:epochtime"] = [str(int(now))]
    context.update(_context_entries(call))
    resources = call.members("ResourceArns") or ["*"]
    results = []
    for action in call.members("ActionNames"):
        results.append(_result(policies, action, resources, context))
    result = {"EvaluationResults": results, "IsTruncated": False}
    return result_answer(call, result)


def _context_entries(call: Call) -> dict[str, list[str]]:
    entries = {}
    number = 1
    while (key := call.get(f"{_entry(number)}.ContextKeyName")) is not None:
        entries[key.lower()] = call.members(f"{_entry(number)}.ContextKeyValues")
        number += 1
    return entries


def _entry(number: int) -> str:
    return f"ContextEntries.member.{number}"


def _result(
    policies: PolicySet, action: str, resources: list[str], context: Context
) -> dict[str, Any]:
    verdicts = []
    for resource in resources:
        verdicts.append((resource, decide(policies, action, resource, context)))
    overall: Decision = "allowed"
    for decision in reversed(_MOST_RESTRICTIVE_FIRST):
        if any(verdict.decision == decision for _, verdict in verdicts):
            overall = decision
    result: dict[str, Any] = {
        "EvalActionName": action,
        "EvalResourceName": resources[0] if len(resources) == 1 else "*",
        "EvalDecision": overall,
        "MatchedStatements": _matched(
            [verdict for _, verdict in verdicts if verdict.decision == overall]
        ),
        "MissingContextValues": _missing(policies, action, resources, context),
    }
    result.update(_boundary_detail([verdict for _, verdict in verdicts]))
    if resources == ["*"]:
        return result
    specific = []
    for resource, verdict in verdicts:
        one = {
            "EvalResourceName": resource,
            "EvalResourceDecision": verdict.decision,
            "MatchedStatements": _matched([verdict]),
            "MissingContextValues": _missing(policies, action, [resource], context),
        }
        specific.append({**one, **_boundary_detail([verdict])})
    result["ResourceSpecificResults"] = specific
    return result


def _matched(verdicts: list[Verdict]) -> list[dict[str, str]]:
    names: dict[str, None] = {}
    for verdict in verdicts:
        for statement in verdict.matched:
            names[statement.policy_name] = None
    return [
        {"SourcePolicyId": name, "SourcePolicyType": "IAM Policy"} for name in names
    ]


def _boundary_detail(verdicts: list[Verdict]) -> dict[str, Any]:
    said = [verdict.allowed_by_boundary for verdict in verdicts]
    if None in said:
        return {}
    return {
        "PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": all(said)}
    }


def _missing(
    policies: PolicySet, action: str, resources: list[str], context: Context
) -> list[str]:
    """Condition keys that could have mattered and were not given."""
    keys: dict[str, None] = {}
    documents = list(policies.identity)
    if policies.boundary is not None:
        documents.append(policies.boundary)
    for document in documents:
        for statement in statements_of(document):
            if not statement.about_action(action):
                continue
            if not any(statement.about_resource(one, context) for one in resources):
                continue
            for key in conditions.keys_of(statement.condition):
                if key.lower() not in context:
                    keys[key] = None
    return list(keys)
