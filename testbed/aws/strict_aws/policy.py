"""Policy documents and how a request is judged by them.

AWS's rule: an explicit Deny in any policy wins, then any Allow, and what no
statement mentions is denied. Actions match without regard to case, resources
with regard to it. Variables such as ``${aws:username}`` are replaced only in
documents of version 2012-10-17; in older ones they are plain text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from . import conditions
from .conditions import Context, as_list, glob

Decision = Literal["allowed", "explicitDeny", "implicitDeny"]

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_LITERALS = {"*": "*", "?": "?", "$": "$"}


@dataclass(frozen=True)
class PolicyDocument:
    """A policy as it is stored, with the name the simulator reports it under."""

    name: str
    text: str


@dataclass(frozen=True)
class Statement:
    """One statement, with single values already made lists."""

    policy_name: str
    allows: bool
    modern: bool
    actions: tuple[str, ...] | None
    not_actions: tuple[str, ...] | None
    resources: tuple[str, ...] | None
    not_resources: tuple[str, ...] | None
    principal: Any
    condition: Mapping[str, Any]

    def about_action(self, action: str) -> bool:
        if self.actions is not None:
            return _any_action(self.actions, action)
        return not _any_action(self.not_actions or (), action)

    def about_resource(self, resource: str, context: Context) -> bool:
        if self.resources is not None:
            return self._any_resource(self.resources, resource, context)
        if self.not_resources is not None:
            return not self._any_resource(self.not_resources, resource, context)
        return True  # a trust policy names no resource: it is about its role

    def condition_holds(self, context: Context) -> bool:
        def fill(value: str) -> str | None:
            return self._fill(value, context)

        return conditions.satisfied(self.condition, context, fill)

    def applies(self, action: str, resource: str, context: Context) -> bool:
        return (
            self.about_action(action)
            and self.about_resource(resource, context)
            and self.condition_holds(context)
        )

    def _any_resource(
        self, patterns: Iterable[str], resource: str, context: Context
    ) -> bool:
        for pattern in patterns:
            filled = self._fill(pattern, context)
            if filled is not None and glob(filled).fullmatch(resource):
                return True
        return False

    def _fill(self, text: str, context: Context) -> str | None:
        return fill_variables(text, context) if self.modern else text


@dataclass(frozen=True)
class Judgement:
    """A decision and the statements that made it."""

    decision: Decision
    matched: tuple[Statement, ...]


def judge(
    documents: Iterable[PolicyDocument], action: str, resource: str, context: Context
) -> Judgement:
    """The verdict of one kind of policy (identity, boundary or session)."""
    allowing: list[Statement] = []
    denying: list[Statement] = []
    for document in documents:
        for statement in statements_of(document):
            if statement.applies(action, resource, context):
                (allowing if statement.allows else denying).append(statement)
    if denying:
        return Judgement("explicitDeny", tuple(denying))
    if allowing:
        return Judgement("allowed", tuple(allowing))
    return Judgement("implicitDeny", ())


@lru_cache(maxsize=512)
def statements_of(document: PolicyDocument) -> tuple[Statement, ...]:
    """Reads a document; moto has checked its grammar when it was stored."""
    parsed = json.loads(document.text)
    modern = parsed.get("Version") == "2012-10-17"
    statements = []
    for raw in as_list(parsed.get("Statement", [])):
        statements.append(
            Statement(
                policy_name=document.name,
                allows=raw.get("Effect") == "Allow",
                modern=modern,
                actions=_texts(raw, "Action"),
                not_actions=_texts(raw, "NotAction"),
                resources=_texts(raw, "Resource"),
                not_resources=_texts(raw, "NotResource"),
                principal=raw.get("Principal"),
                condition=raw.get("Condition", {}),
            )
        )
    return tuple(statements)


def fill_variables(text: str, context: Context) -> str | None:
    """Replaces ``${key}`` and ``${key, 'default'}``.

    ``None`` when a variable has no value and no default: AWS then lets the
    statement match nothing. ``${*}``, ``${?}`` and ``${$}`` stand for the
    characters themselves.
    """
    missing = False

    def value_of(match: re.Match[str]) -> str:
        nonlocal missing
        key, comma, default = match.group(1).partition(",")
        key = key.strip()
        if key in _LITERALS:
            return _LITERALS[key]
        values = context.get(key.lower())
        if values:
            return values[0]
        if comma:
            return default.strip().strip("'")
        missing = True
        return ""

    filled = _VARIABLE.sub(value_of, text)
    return None if missing else filled


def _texts(raw: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    return tuple(as_list(raw[name])) if name in raw else None


def _any_action(patterns: Iterable[str], action: str) -> bool:
    return any(glob(one, ignore_case=True).fullmatch(action) for one in patterns)
