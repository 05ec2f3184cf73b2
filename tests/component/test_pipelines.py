"""Pipelines that are run: the jobs of the component, in the built image, against the stand-ins."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import pytest
from lab import DAY, HOUR, Lab
from pipelines import TAG, Consumer, Pipeline, include

ROTATE, RETIRE, PLAN = "rotate-access-key", "rotate-access-key:retire", "plan-access-key"
WRITES = {"CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey"}
Make = Callable[..., Consumer]
Tell = Callable[[str], None]


def report(pipeline: Pipeline, job: str = ROTATE) -> dict[str, Any]:
    """The one rotation that a job reports."""
    document = json.loads(pipeline.artifact(job, "keyturn.json"))
    assert document["schema"] == "keyturn.report/1"
    (rotation,) = document["rotations"]
    return dict(rotation)


def say(tell: Tell, pipeline: Pipeline, job: str) -> None:
    """The job's result, and its own words."""
    tell(f"{job}: {'passed' if pipeline.code == 0 else 'failed'}")
    for line in pipeline.output.splitlines():
        if line.startswith(f"{job} > ") or line.startswith(f"{job} >"):
            tell(line)


def run(project: Consumer, job: str, tell: Tell, variables: dict[str, str], source: str = "schedule") -> Pipeline:
    pipeline = project.run(job, source=source, variables=variables)
    say(tell, pipeline, job)
    return pipeline


def test_a_schedule_alone_rotates_a_key_retires_the_old_one_and_deletes_it_the_next_time(
    image: str, lab: Lab, consumer: Make, tell: Tell
) -> None:
    user = lab.deploy
    project = consumer(include("rotate", TAG, group=user.group_path, image=image))

    ran = run(project, ROTATE, tell, lab.pipeline_variables(user))
    assert ran.code == 0, ran.output
    new = lab.job_variables(user)["AWS_ACCESS_KEY_ID"]
    assert new != user.key
    assert lab.keys(user.user) == {user.key: "Active", new: "Active"}
    rotation = report(ran)
    steps = [step["step"] for step in rotation["steps"]]
    assert steps == ["journal", "create", "verify", "write_secret", "write_id"]
    assert rotation["user"] == user.user
    case = ET.fromstring(ran.artifact(ROTATE, "keyturn-junit.xml")).find("testsuite/testcase")
    assert case is not None and case.get("name") == user.user
    assert "write_secret" in (case.findtext("system-out") or "")
    assert_signed_first_by_the_old_key_and_then_by_the_new(lab, user.key, new, tell)

    # A job that the runner picks up before its time would do no harm.
    early = run(project, RETIRE, tell, lab.pipeline_variables(user))
    assert (early.code, report(early, RETIRE)["outcome"]) == (0, "waiting")
    assert lab.keys(user.user) == {user.key: "Active", new: "Active"}

    lab.advance(DAY + 60)
    retired = run(project, RETIRE, tell, lab.pipeline_variables(user))
    assert retired.code == 0, retired.output
    assert [step["step"] for step in report(retired, RETIRE)["steps"]] == ["deactivate"]
    assert lab.keys(user.user) == {user.key: "Inactive", new: "Active"}

    lab.advance(30 * DAY)
    next_month = run(project, ROTATE, tell, lab.pipeline_variables(user))
    assert next_month.code == 0, next_month.output
    newest = lab.job_variables(user)["AWS_ACCESS_KEY_ID"]
    assert lab.keys(user.user) == {new: "Active", newest: "Active"}


def assert_signed_first_by_the_old_key_and_then_by_the_new(lab: Lab, old: str, new: str, tell: Tell) -> None:
    signed = [(call["action"], call["key_id"]) for call in lab.aws_journal() if call["key_id"] in (old, new)]
    for action, key in signed:
        tell(f"AWS: {action}, signed by the {'old' if key == old else 'new'} key")
    assert signed[0] == ("GetCallerIdentity", old)
    created = signed.index(("CreateAccessKey", old))
    assert all(key == old for _, key in signed[: created + 1])
    assert signed[created + 1] == ("GetCallerIdentity", new)


def test_a_whole_pipeline_with_its_delay_is_one_run(image: str, lab: Lab, consumer: Make, tell: Tell) -> None:
    # gitlab-ci-local doesn't wait for a delay of a day: both jobs run, and the second finds that it is too early.
    project = consumer(include("rotate", TAG, group=lab.deploy.group_path, image=image))
    ran = project.run(source="schedule", variables=lab.pipeline_variables(lab.deploy))
    for job in (ROTATE, RETIRE):
        say(tell, ran, job)
    assert ran.code == 0, ran.output
    assert report(ran, ROTATE)["outcome"] == "waiting"
    assert set(lab.keys(lab.deploy.user).values()) == {"Active"}


def test_a_role_is_assumed_with_the_id_token_and_the_pair_of_the_project_is_not_used(
    image: str, lab: Lab, consumer: Make, tell: Tell
) -> None:
    user = lab.deploy
    inputs = {"user": user.user, "group": str(user.group), "auth": "oidc", "role_arn": lab.role, "image": image}
    project = consumer(include("rotate", TAG, **inputs))
    # A project that deploys with another role has it in this variable, which GitLab prefers to a job's own.
    variables = {
        **lab.pipeline_variables(user),
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/deploy",
        "KEYTURN_ID_TOKEN": lab.id_token(),
    }
    ran = run(project, ROTATE, tell, variables)
    assert ran.code == 0, ran.output
    calls = lab.aws_journal()
    assert calls[0]["action"] == "AssumeRoleWithWebIdentity"
    assert user.key not in {call["key_id"] for call in calls if call["action"] in WRITES}
    new = lab.job_variables(user)["AWS_ACCESS_KEY_ID"]
    assert lab.keys(user.user) == {user.key: "Active", new: "Active"}


def test_two_users_are_rotated_by_two_includes_of_one_project(
    image: str, lab: Lab, consumer: Make, tell: Tell
) -> None:
    people = (lab.deploy, lab.release)
    includes = [
        include(
            "rotate",
            TAG,
            **{"as": one.user, "group": one.group_path, "gitlab_token": f"$TOKEN_{one.user}", "image": image},
        )
        for one in people
    ]
    project = consumer(*includes)
    for one in people:
        variables = {
            **lab.pipeline_variables(one),
            # Somebody else's: the input names another variable, and wins.
            "GITLAB_TOKEN": "glpat-of-another-tool",
            f"TOKEN_{one.user}": one.token,
        }
        ran = run(project, one.user, tell, variables)
        assert ran.code == 0, ran.output
        assert report(ran, one.user)["user"] == one.user
    for one in people:
        assert lab.job_variables(one)["AWS_ACCESS_KEY_ID"] != one.key
        assert len(lab.keys(one.user)) == 2


def test_two_users_are_rotated_by_one_pipeline(image: str, lab: Lab, consumer: Make, tell: Tell) -> None:
    by_role, by_pair = lab.deploy, lab.release
    project = consumer(
        include(
            *("rotate", TAG),
            **{"as": "one", "user": by_role.user, "group": by_role.group_path, "gitlab_token": "$TOKEN_ONE"},
            **{"auth": "oidc", "role_arn": lab.role, "image": image},
        ),
        include("rotate", TAG, **{"as": "two", "group": by_pair.group_path, "image": image}),
        # GitLab gives an ID token to the jobs alone that ask for one.
        **{name: {"variables": {"KEYTURN_ID_TOKEN": lab.id_token()}} for name in ("one", "one:retire")},
    )
    ran = project.run(source="schedule", variables={**lab.pipeline_variables(by_pair), "TOKEN_ONE": by_role.token})
    for job in ("one", "one:retire", "two", "two:retire"):
        say(tell, ran, job)
    assert ran.code == 0, ran.output
    for name, user in (("one", by_role), ("two", by_pair)):
        assert report(ran, name)["user"] == user.user
        held = lab.job_variables(user)["AWS_ACCESS_KEY_ID"]
        assert held != user.key
        assert lab.keys(user.user) == {user.key: "Active", held: "Active"}


def test_variables_of_the_project_do_not_change_whose_key_is_rotated_or_where_or_when_it_is_retired(
    image: str, lab: Lab, consumer: Make, tell: Tell
) -> None:
    user = lab.deploy
    project = consumer(include("rotate", TAG, group=user.group_path, image=image))
    others = {
        **{"AWS_IAM_USER": lab.release.user, "GITLAB_PROJECT_ID": "1", "GITLAB_GROUP_ID": str(lab.release.group)},
        # The retire job is delayed by the input, so this would leave the key active until somebody runs it again.
        **{"KEYTURN_GRACE": "48h", "KEYTURN_ROTATE_AFTER": "90d", "KEYTURN_ACCESS_KEY_ID_VARIABLE": "OTHER_ID"},
    }
    ran = run(project, ROTATE, tell, {**lab.pipeline_variables(user), **others})
    assert ran.code == 0, ran.output
    assert lab.job_variables(user)["AWS_ACCESS_KEY_ID"] != user.key
    assert lab.job_variables(lab.release)["AWS_ACCESS_KEY_ID"] == lab.release.key
    assert set(lab.keys(lab.release.user)) == {lab.release.key}

    lab.advance(DAY + 60)
    retired = run(project, RETIRE, tell, {**lab.pipeline_variables(user), **others})
    assert retired.code == 0, retired.output
    assert lab.keys(user.user)[user.key] == "Inactive"


def test_a_plan_says_what_a_rotation_would_do_and_does_none_of_it(
    image: str, lab: Lab, consumer: Make, tell: Tell
) -> None:
    user = lab.deploy
    project = consumer(include("plan", TAG, group=user.group_path, image=image))
    ran = run(project, PLAN, tell, lab.pipeline_variables(user), source="merge_request_event")
    assert ran.code == 0, ran.output
    assert "create" in [step["step"] for step in report(ran, PLAN)["steps"]]
    assert not WRITES & {call["action"] for call in lab.aws_journal()}
    assert {call["method"] for call in lab.gitlab_journal()} == {"GET"}
    assert lab.keys(user.user) == {user.key: "Active"}


@pytest.mark.parametrize(
    "inputs, variables, word",
    [
        ({}, {}, "GITLAB_GROUP_ID"),
        ({"group": "platform"}, {"GITLAB_TOKEN": ""}, "GITLAB_TOKEN is not set"),
        ({"group": "platform", "gitlab_token": "$NO_SUCH_VARIABLE"}, {}, "GITLAB_TOKEN is not set"),
        (
            {"group": "platform", "auth": "oidc", "user": "ci-deployer"},
            {"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/deploy", "KEYTURN_ID_TOKEN": "e30.e30.c2ln"},
            "AWS_ROLE_ARN is not",
        ),
        ({"group": "platform", "longest_job": "2d"}, {}, "KEYTURN_GRACE"),
        ({"group": "platform", "access_key_id_variable": "PROD_KEY_ID"}, {}, "KEYTURN_SECRET_ACCESS_KEY_VARIABLE"),
        (
            {"group": "platform", "secret_access_key_variable": "PROD_KEY"},
            {"KEYTURN_ACCESS_KEY_ID_VARIABLE": "OF_ANOTHER_JOB"},
            "KEYTURN_ACCESS_KEY_ID_VARIABLE",
        ),
    ],
    ids=[
        "neither group nor project",
        "no token",
        "a token that is named and missing, where the project has another",
        "no role in the input, where the project has another",
        "a grace shorter than the longest job",
        "the id's variable named without the secret's",
        "the secret's variable named without the id's",
    ],
)
def test_a_job_with_settings_that_cannot_be_used_fails_says_which_and_touches_nothing(
    inputs: dict[str, str],
    variables: dict[str, str],
    word: str,
    image: str,
    lab: Lab,
    consumer: Make,
    tell: Tell,
) -> None:
    project = consumer(include("rotate", TAG, image=image, **inputs))
    ran = run(project, ROTATE, tell, {**lab.pipeline_variables(lab.deploy), **variables})
    assert ran.code != 0
    # gitlab-ci-local says how the job's script ended.
    assert "FAIL 2" in ran.output, ran.output
    rotation = report(ran)
    assert (rotation["outcome"], word in rotation["message"] + rotation["advice"]) == ("failed", True), rotation
    case = ET.fromstring(ran.artifact(ROTATE, "keyturn-junit.xml")).find("testsuite/testcase/error")
    assert case is not None
    assert lab.aws_journal() == [] and lab.gitlab_journal() == []


def test_no_secret_is_in_a_log_or_an_artifact(image: str, lab: Lab, consumer: Make) -> None:
    user = lab.deploy
    project = consumer(include("rotate", TAG, group=user.group_path, image=image))
    before = lab.pipeline_variables(user)
    ran = project.run(ROTATE, source="schedule", variables=before)
    assert ran.code == 0, ran.output
    secrets = {
        before["AWS_SECRET_ACCESS_KEY"],
        lab.job_variables(user)["AWS_SECRET_ACCESS_KEY"],
        user.token,
    }
    shown = ran.output + ran.artifact(ROTATE, "keyturn.json") + ran.artifact(ROTATE, "keyturn-junit.xml")
    assert user.key in shown
    assert not [secret for secret in secrets if secret in shown]
