"""GitLab's rules for components that gitlab-ci-local lets pass, and our own for these templates.

A finding is a sentence; no findings means that the template, or what a user wrote to include it, is fine.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from containers import ROOT

BLOCK = re.compile(r"\$\[\[\s*(\S.*?\S)\s*\]\]")
COMPONENT = re.compile(r"^(?P<place>\S+)/(?P<name>[a-z_-]+)@(?P<version>\S+)$")
OURS = re.compile(r"keyturn/keyturn/")

# What GitLab 17.0 knows. Each newer key would raise the lowest version that the component works with, as an unknown key is an
# error there: spec:component came with 18.6, spec:description with 18.10, inputs:rules with 18.7.
SPEC_KEYS = {"inputs"}
INPUT_KEYS = {"type", "default", "description", "options", "regex"}
FUNCTIONS = ("expand_vars", "truncate(")
GLOBAL_KEYWORDS = {"default", "stages", "workflow", "variables", "image", "services", "cache", "before_script", "after_script"}
TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "array": list,
    "boolean": bool,
    "number": (int, float),
}
WEEK = 7 * 24 * 3600
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}


def strings(node: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text of a document with its place, keys among them."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield (*path, "<key>"), str(key)
            yield from strings(value, (*path, str(key)))
    elif isinstance(node, list):
        for at, value in enumerate(node):
            yield from strings(value, (*path, str(at)))
    elif isinstance(node, str):
        yield path, node


def template(text: str) -> list[str]:
    """What is wrong with a template."""
    documents = list(yaml.safe_load_all(text))
    if len(documents) != 2 or set(documents[0]) != {"spec"}:
        return ["a template is a document with `spec` and one with jobs"]
    spec, jobs = documents[0]["spec"], documents[1]
    inputs: dict[str, dict[str, Any]] = {name: declared or {} for name, declared in spec.get("inputs", {}).items()}
    return [*_spec(spec, inputs), *_jobs(jobs, inputs)]


def _spec(spec: dict[str, Any], inputs: dict[str, dict[str, Any]]) -> Iterator[str]:
    for key in set(spec) - SPEC_KEYS:
        yield f"spec:{key} is not known to GitLab 17.0"
    for path, text in strings(spec):
        if "$[[" in text:
            yield f"spec:{':'.join(path)}: nothing is interpolated inside spec"
    for name, declared in inputs.items():
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            yield f"input {name} is not in snake_case"
        for key in set(declared) - INPUT_KEYS:
            yield f"input {name}: {key} is not known to GitLab 17.0"
        if not declared.get("description"):
            yield f"input {name} has no description"
        if len(declared.get("description", "")) > 1024:
            yield f"input {name}: the description is longer than 1024 characters"
        if "default" in declared:
            yield from (f"input {name}: the default {why}" for why in _unfit(declared["default"], declared))


def _jobs(jobs: dict[str, Any], inputs: dict[str, dict[str, Any]]) -> Iterator[str]:
    for keyword in GLOBAL_KEYWORDS & set(jobs):
        yield f"{keyword} would apply to the jobs of everybody who includes this"
    used = set()
    for path, text in strings(jobs):
        place = ":".join(path)
        for block in BLOCK.finditer(text):
            access, *functions = (part.strip() for part in block[1].split("|"))
            context, _, name = access.partition(".")
            if context != "inputs":
                yield f"{place}: {context} can't be interpolated in GitLab 17.0"
                continue
            used.add(name)
            if name not in inputs:
                yield f"{place}: there is no input {name}"
            elif inputs[name].get("type") == "array" and text != block[0]:
                yield f"{place}: the array {name} inside a longer text"
            elif inputs[name].get("type") == "array" and "variables" in path:
                yield f"{place}: the array {name} can't be a variable"
            for function in functions:
                if not function.startswith(FUNCTIONS):
                    yield f"{place}: {function} is not known to GitLab 17.0"
            if {"script", "before_script", "after_script"} & set(path):
                yield f"{place}: {block[0]} becomes a piece of shell script; pass it as a variable"
    for name in set(inputs) - used:
        yield f"input {name} is never used"


def _unfit(value: object, declared: dict[str, Any]) -> Iterator[str]:
    """Why GitLab would refuse a value of an input."""
    kind = declared.get("type", "string")
    expected = TYPES[kind]
    if not isinstance(value, expected) or (kind != "boolean" and isinstance(value, bool)):
        yield f"is not a {kind}"
    elif "options" in declared and value not in declared["options"]:
        yield f"is none of {', '.join(map(str, declared['options']))}"
    elif "regex" in declared and not re.search(declared["regex"], str(value)):
        yield f"doesn't match {declared['regex']}"


def declared_inputs() -> dict[str, dict[str, dict[str, Any]]]:
    """The inputs of each template of this checkout, by the component's name."""
    return {
        path.stem: next(yaml.safe_load_all(path.read_text()))["spec"]["inputs"]
        for path in sorted((ROOT / "templates").glob("*.yml"))
    }


def consumer(configuration: object) -> list[str]:
    """What GitLab would refuse, or keyturn would, of a pipeline that includes these components."""
    entries = configuration.get("include", []) if isinstance(configuration, dict) else []
    ours = [
        entry
        for entry in (entries if isinstance(entries, list) else [entries])
        if isinstance(entry, dict) and OURS.search(str(entry.get("component", "")))
    ]
    return [
        *(f"{entry['component']}: {finding}" for entry in ours for finding in _include(entry)),
        *_one_job_each(ours),
    ]


def _one_job_each(entries: list[dict[str, Any]]) -> Iterator[str]:
    """GitLab merges jobs of the same name, in silence: of two rotations the last one is left."""
    names: set[str] = set()
    components = declared_inputs()
    for entry in entries:
        reference = COMPONENT.match(entry["component"])
        if reference is None or reference["name"] not in components:
            continue
        name = (entry.get("inputs") or {}).get("as", components[reference["name"]]["as"]["default"])
        if name in names:
            yield f"two includes have the job {name}: give each its own with `as`"
        names.add(name)


def _include(entry: dict[str, Any]) -> Iterator[str]:
    reference = COMPONENT.match(entry["component"])
    components = declared_inputs()
    if reference is None or reference["name"] not in components:
        yield f"there is no such component; there are {', '.join(components)}"
        return
    declared = components[reference["name"]]
    given: dict[str, Any] = entry.get("inputs") or {}
    for name in set(given) - set(declared):
        yield f"unknown input {name}"
    for name, about in declared.items():
        if name in given:
            yield from (f"input {name}: {given[name]!r} {why}" for why in _unfit(given[name], about))
        elif "default" not in about:
            yield f"input {name} is missing"
    effective = {name: given.get(name, about.get("default")) for name, about in declared.items()}
    if not effective["group"] and not effective["project"] and not effective["secret_id"]:
        yield "neither group nor project is given"
    # A secret may name the other one.
    names = ("access_key_id_variable", "secret_access_key_variable")
    if len([name for name in names if effective[name]]) == 1 and not effective["secret_id"]:
        yield f"{' and '.join(names)}: set both or neither"
    if effective["auth"] == "oidc":
        if not effective["role_arn"]:
            yield "auth oidc needs role_arn"
        if not effective["user"] and not effective["secret_id"]:
            yield "auth oidc needs user: the role is nobody whose key could be rotated"
    if effective.get("retire") == "delayed":
        yield from (f"input grace: {why}" for why in start_in(str(effective["grace"])))


def start_in(text: str) -> Iterator[str]:
    """Why a job can't be delayed by this. GitLab takes nothing for no duration, and at most a week."""
    number, unit = text[:-1], text[-1:]
    if not number.isdigit() or unit not in UNITS:
        yield f"{text!r} is no duration"
    elif int(number) == 0:
        yield "a delay of nothing is no duration to GitLab: a grace of 0s needs retire: none"
    elif int(number) * UNITS[unit] > WEEK:
        yield f"{text} is more than a week, the longest delay"


def blocks(page: Path, language: str) -> Iterator[tuple[int, str]]:
    """The fenced blocks of a Markdown page in a language, each with its first line's number."""
    lines: list[str] | None = None
    start = 0
    for number, line in enumerate(page.read_text().splitlines(), start=1):
        fence = line.strip()
        if lines is None and fence.startswith("```"):
            lines, start, wanted = [], number + 1, fence[3:] == language
        elif lines is not None and fence == "```":
            if wanted:
                yield start, "\n".join(lines) + "\n"
            lines = None
        elif lines is not None:
            lines.append(line)
