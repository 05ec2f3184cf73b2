"""The Condition block of a policy statement.

Keys are matched without regard to case. A key that is missing from the
request fails a condition, except for the negated operators, ``...IfExists``,
``Null`` and ``ForAllValues``, which it satisfies.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from . import errors

Context = Mapping[str, Sequence[str]]
"""Condition keys in lower case, each with the request's values."""

Substitute = Callable[[str], str | None]
"""Replaces policy variables in a value; ``None`` when one is not known."""


@lru_cache(maxsize=4096)
def glob(pattern: str, ignore_case: bool = False) -> re.Pattern[str]:
    """A pattern with AWS's two wildcards, ``*`` and ``?``."""
    parts = []
    for character in pattern:
        if character == "*":
            parts.append(".*")
        elif character == "?":
            parts.append(".")
        else:
            parts.append(re.escape(character))
    flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
    return re.compile("".join(parts), flags)


def _string_like(wanted: str, actual: str) -> bool:
    return glob(wanted).fullmatch(actual) is not None


def _arn_like(wanted: str, actual: str) -> bool:
    """Each of an ARN's six parts is matched on its own: no ``*`` spans a colon."""
    wanted_parts = wanted.split(":", 5)
    actual_parts = actual.split(":", 5)
    if len(wanted_parts) != 6 or len(actual_parts) != 6:
        return wanted == "*"
    pairs = zip(wanted_parts, actual_parts, strict=True)
    return all(_string_like(one, other) for one, other in pairs)


def _ip_address(wanted: str, actual: str) -> bool:
    try:
        network = ipaddress.ip_network(wanted, strict=False)
        return ipaddress.ip_address(actual) in network
    except ValueError:
        return False


def _moment(text: str) -> float:
    """A date condition's value: ISO 8601, or seconds since the epoch."""
    try:
        return float(text)
    except ValueError:
        parsed = datetime.fromisoformat(text.replace("Z", "+00:00"))
        if parsed.tzinfo is None:
            parsed = parsed.replace(tzinfo=UTC)
        return parsed.timestamp()


def _ordered(
    read: Callable[[str], float], compare: Callable[[float, float], bool]
) -> Callable[[str, str], bool]:
    """A comparison ``actual <op> wanted``; values that can't be read don't match."""

    def test(wanted: str, actual: str) -> bool:
        try:
            return compare(read(actual), read(wanted))
        except ValueError:
            return False

    return test


_TESTS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda wanted, actual: wanted == actual,
    "StringEqualsIgnoreCase": lambda wanted, actual: wanted.lower() == actual.lower(),
    "StringLike": _string_like,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "IpAddress": _ip_address,
    "Bool": lambda wanted, actual: wanted.lower() == actual.lower(),
    "BinaryEquals": lambda wanted, actual: wanted == actual,
}
for _prefix, _read in (("Numeric", float), ("Date", _moment)):
    _TESTS[f"{_prefix}Equals"] = _ordered(_read, lambda a, b: a == b)
    _TESTS[f"{_prefix}LessThan"] = _ordered(_read, lambda a, b: a < b)
    _TESTS[f"{_prefix}LessThanEquals"] = _ordered(_read, lambda a, b: a <= b)
    _TESTS[f"{_prefix}GreaterThan"] = _ordered(_read, lambda a, b: a > b)
    _TESTS[f"{_prefix}GreaterThanEquals"] = _ordered(_read, lambda a, b: a >= b)

_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NotIpAddress": "IpAddress",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
}


def as_list(value: Any) -> list[Any]:
    """Policies may give one value where a list is meant."""
    return list(value) if isinstance(value, list) else [value]


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def satisfied(block: Mapping[str, Any], context: Context, fill: Substitute) -> bool:
    """Whether every operator and every key of the block agrees."""
    for operator, keys in block.items():
        for key, values in keys.items():
            wanted = []
            for value in as_list(values):
                filled = fill(_as_text(value))
                if filled is not None:
                    wanted.append(filled)
            if not _one_condition(operator, wanted, context.get(key.lower())):
                return False
    return True


def keys_of(block: Mapping[str, Any]) -> list[str]:
    """The condition keys a block asks about, as written."""
    return [key for keys in block.values() for key in keys]


def _one_condition(
    operator: str, wanted: list[str], actual: Sequence[str] | None
) -> bool:
    quantifier, _, name = operator.rpartition(":")
    if name == "Null":
        return (actual is None) == (wanted == ["true"])
    if name.endswith("IfExists"):
        if actual is None:
            return True
        name = name.removesuffix("IfExists")
    negated = name in _NEGATED
    test = _TESTS.get(_NEGATED.get(name, name))
    if test is None:
        raise errors.not_modelled(f"the condition operator {operator}")
    if actual is None:
        return negated or quantifier == "ForAllValues"

    def matches(value: str) -> bool:
        return any(test(one, value) for one in wanted)

    if quantifier == "ForAllValues":
        return all(matches(value) != negated for value in actual)
    if quantifier == "ForAnyValue":
        return any(matches(value) != negated for value in actual)
    return any(matches(value) for value in actual) != negated
