"""The templates as GitLab reads them, without running a job."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lint
import pipelines
import pytest
import yaml
from containers import ROOT, must
from pipelines import MAJOR, OLDER, SHA, TAG, Consumer, Published, include

TEMPLATES = sorted((ROOT / "templates").glob("*.yml"))
BIN = pipelines.TOOLS / "bin"
ROTATE, RETIRE, PLAN = "rotate-access-key", "rotate-access-key:retire", "plan-access-key"
Make = Callable[..., Consumer]
Tell = Callable[[str], None]


def tool(*command: object) -> str:
    return must(subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_follows_gitlabs_rules_for_components(path: Path, tmp_path: Path) -> None:
    assert lint.template(path.read_text()) == []
    tool(BIN / "yamllint", "--strict", "--config-file", ROOT / ".yamllint.yml", path)
    header = tmp_path / "header.gitlab-ci.yml"
    header.write_text(path.read_text().partition("\n---\n")[0])
    schema = ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"]
    tool(BIN / "check-jsonschema", *schema, header)


# What the rules would miss if they were gone: each change must be found.
MISTAKES = [
    ("    user:\n", "    User:\n", "snake_case"),
    ("  inputs:\n", "  component: [sha]\n  inputs:\n", "not known to GitLab 17.0"),
    ("default: deploy\n", "default: $[[ component.name ]]\n", "nothing is interpolated inside spec"),
    ("options: [delayed, none]", "options: [none]", "is none of"),
    ("default: 24h", "default: 8d", "doesn't match"),
    ("default: 1h\n", "default: 1\n", "is not a string"),
    ("      description: The longest job that may hold the key.\n", "", "has no description"),
    ("$[[ inputs.longest_job ]]", "$[[ inputs.longest ]]", "there is no input longest"),
    ("$[[ inputs.longest_job ]]", "1h", "input longest_job is never used"),
    ("$[[ inputs.user ]]", "$[[ inputs.rules ]]", "can't be a variable"),
    ("rules: $[[ inputs.rules ]]", "rules: ['a $[[ inputs.rules ]]']", "inside a longer text"),
    ("$[[ inputs.user ]]", "$[[ component.sha ]]", "component can't be interpolated"),
    ("$[[ inputs.user ]]", "$[[ inputs.user | posix_escape ]]", "posix_escape is not known"),
    ("keyturn rotate --report", "keyturn rotate $[[ inputs.user ]] --report", "a piece of shell script"),
    ("\n---\n", "\n---\nstages: [deploy]\n", "would apply to the jobs of everybody"),
]


@pytest.mark.parametrize("right, wrong, finding", MISTAKES, ids=[finding for _, _, finding in MISTAKES])
def test_a_mistake_in_a_template_is_found(right: str, wrong: str, finding: str) -> None:
    text = (ROOT / "templates" / "rotate.yml").read_text()
    assert right in text
    assert any(finding in found for found in lint.template(text.replace(right, wrong, 1)))


def test_the_image_by_default_is_the_one_of_this_version() -> None:
    version = next(line for line in (ROOT / "Cargo.toml").read_text().splitlines() if line.startswith("version = "))
    number = version.split('"')[1]
    for name, inputs in lint.declared_inputs().items():
        assert inputs["image"]["default"].endswith(f"/keyturn:{number}"), name


def test_both_components_take_the_settings_they_share_by_the_same_name_and_default() -> None:
    rotate, plan = (lint.declared_inputs()[name] for name in ("rotate", "plan"))
    for name in set(rotate) & set(plan) - {"as", "stage", "rules"}:
        assert rotate[name].get("default") == plan[name].get("default"), name
    assert set(plan) - set(rotate) == set()


ON_MAIN = [("push", set()), ("schedule", {ROTATE, RETIRE}), ("web", {ROTATE, RETIRE}), ("merge_request_event", {PLAN})]


@pytest.mark.parametrize("kind", [TAG, MAJOR, SHA])
def test_an_include_by_any_kind_of_version_has_its_jobs_in_the_pipelines_they_are_for(
    kind: str, consumer: Make, published: Published, tell: Tell
) -> None:
    version = published.version(kind)
    project = consumer(include("rotate", version, group="platform"), include("plan", version, group="platform"))
    for source, expected in ON_MAIN:
        listed = project.jobs(source)
        jobs = {name: job["when"] for name, job in listed.items() if job["when"] != "never"}
        tell(f"@{version}, {source}: {jobs}")
        manual = {PLAN} if source == "web" else set()
        assert set(jobs) == expected | manual
        if expected >= {ROTATE}:
            assert jobs[ROTATE] == ("manual" if source == "web" else "on_success")
            assert jobs[RETIRE] == "delayed"
    other = project.jobs("schedule", CI_COMMIT_BRANCH="feature", CI_DEFAULT_BRANCH="main")
    assert {name for name, job in other.items() if job["when"] != "never"} == set()


def test_an_include_by_tag_is_of_that_tag(consumer: Make) -> None:
    jobs = consumer(include("rotate", OLDER, group="platform")).jobs("schedule")
    assert set(jobs) == {"job-of-an-older-version", "job-of-an-older-version:retire"}


def test_the_merged_pipeline_is_one_that_gitlab_knows(consumer: Make, tmp_path: Path) -> None:
    project = consumer(include("rotate", TAG, group="platform", auth="oidc"), include("plan", TAG, project="a/b"))
    merged = tmp_path / "merged.gitlab-ci.yml"
    merged.write_text(yaml.safe_dump(project.preview()))
    schema = ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"]
    tool(BIN / "check-jsonschema", *schema, merged)


def test_a_rotation_is_neither_interrupted_nor_repeated_nor_run_twice_at_a_time(consumer: Make) -> None:
    # Also where the project has defaults of its own for all of its jobs.
    defaults = {"before_script": ["exit 9"], "image": "ruby:3", "interruptible": True, "tags": ["aws"], "retry": 2}
    merged = consumer(include("rotate", TAG, group="platform"), default=defaults).preview()
    for name in (ROTATE, RETIRE):
        job = merged[name]
        assert job["resource_group"] == ROTATE
        assert job["interruptible"] is False
        assert job["retry"] == {"max": 1, "when": ["runner_system_failure"]}
        assert job["timeout"] == "20 minutes"
        assert job["inherit"] == {"default": ["tags"]}
        assert job["image"]["entrypoint"] == [""]
        assert "exit 9" not in job["before_script"]
        assert (job["dependencies"], job["cache"]) == ([], [])
        assert job["variables"]["GIT_STRATEGY"] == "empty"
        artifacts = job["artifacts"]
        assert (artifacts["when"], artifacts["access"]) == ("always", "developer")
        assert artifacts["reports"] == {"junit": "keyturn-junit.xml"}
    assert merged[ROTATE]["needs"] == []
    assert merged[RETIRE]["needs"] == [{"job": ROTATE, "artifacts": False, "optional": True}]
    assert merged[RETIRE]["rules"][0]["start_in"] == "24h"


def test_an_id_token_is_asked_for_only_where_a_role_is_assumed_with_it(consumer: Make) -> None:
    keys = consumer(include("rotate", TAG, group="platform")).preview()
    oidc = consumer(include("rotate", TAG, group="platform", auth="oidc", role_arn="arn:aws:iam::1:role/r")).preview()
    for name in (ROTATE, RETIRE):
        assert "id_tokens" not in keys[name]
        assert oidc[name]["id_tokens"] == {"KEYTURN_ID_TOKEN": {"aud": "$CI_SERVER_URL"}}


# The variable of keyturn that each input becomes, and a value that no other input has.
WIRES = {
    "user": ("AWS_IAM_USER", "the-user"),
    "group": ("GITLAB_GROUP_ID", "the/group"),
    "project": ("GITLAB_PROJECT_ID", "the/project"),
    "gitlab_token": ("GITLAB_TOKEN", "the-token"),
    "aws_region": ("AWS_REGION", "the-region"),
    "secret_id": ("KEYTURN_SECRET_ID", "the-secret"),
    "access_key_id_variable": ("KEYTURN_ACCESS_KEY_ID_VARIABLE", "THE_ID"),
    "secret_access_key_variable": ("KEYTURN_SECRET_ACCESS_KEY_VARIABLE", "THE_SECRET"),
    "environment_scope": ("KEYTURN_ENVIRONMENT_SCOPE", "the scope"),
    "rotate_after": ("KEYTURN_ROTATE_AFTER", "31d"),
    "grace": ("KEYTURN_GRACE", "32h"),
    "delete_after": ("KEYTURN_DELETE_AFTER", "33d"),
    "longest_job": ("KEYTURN_LONGEST_JOB", "34m"),
}
ROLE = ("AWS_ROLE_ARN", "arn:aws:iam::1:role/the-role")
# What else the inputs say is for GitLab.
ABOUT_JOBS = {"as", "stage", "image", "rules", "auth", "oidc_audience", "retire", "retire_if"}


def received(job: dict[str, Any], **others: str) -> dict[str, str]:
    """The environment that a job's script starts with, besides what the machine has."""
    shell = ["busybox", "sh", "-e", "-c", "\n".join([*job["before_script"], "exec env -0"])]
    variables = {name: str(value) for name, value in job["variables"].items()}
    ended = subprocess.run(
        shell, env={"PATH": "/usr/bin:/bin", **others, **variables}, capture_output=True, text=True, timeout=60
    )
    found = dict(line.split("=", 1) for line in must(ended).split("\0") if line)
    machine = {"PATH", "PWD", "SHLVL", "OLDPWD", "_"}
    return {name: value for name, value in found.items() if name not in set(variables) | machine}


@pytest.mark.parametrize("auth", ["keys", "oidc"])
@pytest.mark.parametrize("component, jobs", [("rotate", (ROTATE, RETIRE)), ("plan", (PLAN,))])
def test_each_input_is_the_setting_that_it_is_called_after(
    component: str, jobs: tuple[str, ...], auth: str, consumer: Make
) -> None:
    declared = set(lint.declared_inputs()[component])
    assert declared == (set(WIRES) | {"role_arn"} | ABOUT_JOBS) & declared
    assert set(WIRES) | {"role_arn"} <= declared
    inputs = {name: value for name, (_, value) in WIRES.items()}
    more = {"auth": auth, "role_arn": ROLE[1], "oidc_audience": "the-audience", "stage": "test", "image": "the-image"}
    merged = consumer(include(component, TAG, **inputs, **more)).preview()
    expected = dict(WIRES.values()) | ({ROLE[0]: ROLE[1]} if auth == "oidc" else {})
    # What a project has under the same names for other jobs.
    other = {name: "of another job" for name in expected if name != "AWS_ROLE_ARN"}
    for name in jobs:
        assert received(merged[name]) == expected
        assert received(merged[name], **other) == expected
        assert (merged[name]["stage"], merged[name]["image"]["name"]) == ("test", "the-image")
        assert merged[name].get("id_tokens") == (
            {"KEYTURN_ID_TOKEN": {"aud": "the-audience"}} if auth == "oidc" else None
        )


def test_a_role_of_the_environment_is_for_jobs_that_name_none(consumer: Make) -> None:
    # A runner's own, such as the one of a service account in Kubernetes.
    role = {"AWS_ROLE_ARN": "arn:aws:iam::1:role/of-another-job", "AWS_REGION": "eu-central-1"}
    keys = consumer(include("rotate", TAG, group="a")).preview()
    assert received(keys[ROTATE], **role).items() >= role.items()
    oidc = consumer(include("rotate", TAG, group="a", auth="oidc", user="u")).preview()
    assert received(oidc[ROTATE], **role)["AWS_ROLE_ARN"] == ""


def test_without_a_token_in_the_input_there_is_none_so_that_it_can_come_from_the_secret(consumer: Make) -> None:
    default = consumer(include("rotate", TAG, group="a")).preview()
    assert default[ROTATE]["variables"]["INPUT_OF_KEYTURN_GITLAB_TOKEN"] == "$GITLAB_TOKEN"
    empty = consumer(include("rotate", TAG, group="a", gitlab_token="", secret_id="s")).preview()
    assert received(empty[ROTATE], GITLAB_TOKEN="glpat-of-another-tool")["GITLAB_TOKEN"] == ""


@pytest.mark.parametrize("component, job", [("rotate", ROTATE), ("plan", PLAN)])
def test_without_names_of_variables_the_program_gets_none(component: str, job: str, consumer: Make) -> None:
    names = ("KEYTURN_ACCESS_KEY_ID_VARIABLE", "KEYTURN_SECRET_ACCESS_KEY_VARIABLE")
    merged = consumer(include(component, TAG, group="a")).preview()
    # The program takes empty for unset. What a project sets for other jobs doesn't get through.
    found = received(merged[job], **dict.fromkeys(names, "OF_ANOTHER_JOB"))
    assert [found[name] for name in names] == ["", ""]


def test_one_name_of_two_reaches_the_program_unchanged(consumer: Make) -> None:
    merged = consumer(include("rotate", TAG, group="a", access_key_id_variable="THE_ID")).preview()
    found = received(merged[ROTATE], KEYTURN_SECRET_ACCESS_KEY_VARIABLE="OF_ANOTHER_JOB")
    assert (found["KEYTURN_ACCESS_KEY_ID_VARIABLE"], found["KEYTURN_SECRET_ACCESS_KEY_VARIABLE"]) == ("THE_ID", "")


def test_the_retire_job_can_be_left_out(consumer: Make) -> None:
    jobs = consumer(include("rotate", TAG, group="platform", retire="none", grace="0s")).jobs("schedule")
    assert {name for name, job in jobs.items() if job["when"] != "never"} == {ROTATE}


def test_two_users_of_one_project_have_jobs_and_locks_of_their_own(consumer: Make) -> None:
    both = [include("rotate", TAG, **{"as": name, "user": name, "group": "platform"}) for name in ("deploy", "backup")]
    merged = consumer(*both).preview()
    for name in ("deploy", "backup"):
        for job in (name, f"{name}:retire"):
            assert merged[job]["resource_group"] == name
            assert merged[job]["variables"]["INPUT_OF_KEYTURN_USER"] == name


# Given to GitLab, and to the checks that every example of the documentation goes through.
BAD_INPUTS = [
    ({"group": "a", "retire": "later"}, "is none of", "retire"),
    ({"group": "a", "grace": "8d"}, "doesn't match", "grace"),
    ({"group": "a", "grace": "169h"}, "doesn't match", "grace"),
    ({"group": "a", "grace": "a day"}, "doesn't match", "grace"),
    ({"group": 42}, "is not a string", "group"),
    ({"group": "a", "rules": "always"}, "is not a array", "rules"),
    ({"group": "a", "auth": "iam"}, "is none of", "auth"),
    ({"group": "a", "as": "a: b"}, "doesn't match", "as"),
    ({"group": "a", "oidc_audience": ""}, "doesn't match", "oidc_audience"),
]


@pytest.mark.parametrize("inputs, finding, name", BAD_INPUTS, ids=[str(inputs) for inputs, _, _ in BAD_INPUTS])
def test_an_input_that_cannot_be_used_is_refused_by_its_name(
    inputs: dict[str, object], finding: str, name: str, consumer: Make
) -> None:
    refused = consumer(include("rotate", TAG, **inputs)).run("--list-json", source="schedule")
    assert refused.code != 0
    assert f"`{name}` input" in refused.output or f"{name} input" in refused.output, refused.output
    found = lint.consumer({"include": [include("rotate", TAG, **inputs)]})
    assert any(finding in one and f"input {name}:" in one for one in found), found


@pytest.mark.parametrize(
    "inputs, finding",
    [
        ({"group": "a", "grcae": "24h"}, "unknown input grcae"),
        ({}, "neither group nor project"),
        ({"group": "a", "grace": "0s"}, "needs retire: none"),
        ({"group": "a", "access_key_id_variable": "THE_ID"}, "set both or neither"),
        ({"group": "a", "secret_access_key_variable": "THE_SECRET"}, "set both or neither"),
        ({"group": "a", "auth": "oidc", "user": "u"}, "auth oidc needs role_arn"),
        ({"group": "a", "auth": "oidc", "role_arn": "arn:aws:iam::1:role/r"}, "auth oidc needs user"),
    ],
)
def test_what_only_gitlab_refuses_is_found_in_examples(inputs: dict[str, object], finding: str) -> None:
    found = lint.consumer({"include": [include("rotate", TAG, **inputs)]})
    assert any(finding in one for one in found), found
    assert lint.consumer({"include": [include("rotate", TAG, group="a")]}) == []


def test_an_example_that_names_both_variables_passes() -> None:
    both = {"access_key_id_variable": "THE_ID", "secret_access_key_variable": "THE_SECRET"}
    assert lint.consumer({"include": [include("rotate", TAG, group="a", **both)]}) == []


def test_two_includes_whose_jobs_have_one_name_are_found_as_one_would_be_lost(consumer: Make) -> None:
    both = [include("rotate", TAG, group="a"), include("rotate", TAG, group="b")]
    merged = consumer(*both).preview()
    assert merged[ROTATE]["variables"]["INPUT_OF_KEYTURN_GROUP"] == "b"
    assert any(f"two includes have the job {ROTATE}" in one for one in lint.consumer({"include": both}))
    named = [include("rotate", TAG, **{"as": name, "group": name}) for name in ("a", "b")]
    assert lint.consumer({"include": [*named, include("plan", TAG, group="a")]}) == []


def test_a_component_that_does_not_exist_is_found() -> None:
    found = lint.consumer({"include": [include("rotation", TAG, group="a")]})
    assert found and "there is no such component" in found[0]


@pytest.mark.parametrize("text, fits", [("7d", True), ("168h", True), ("169h", False), ("0s", False), ("soon", False)])
def test_a_delay_is_a_duration_of_at_most_a_week(text: str, fits: bool) -> None:
    assert (list(lint.start_in(text)) == []) is fits


