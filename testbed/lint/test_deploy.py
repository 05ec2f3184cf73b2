"""`make deploy` with a stub of the AWS CLI: what it is told, word by word."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
import test_template

ROOT = pathlib.Path(__file__).parent.parent.parent
STUB = """#!{python}
import json, sys
with open({log!r}, "a") as log:
    print(json.dumps(sys.argv[1:]), file=log)
"""


@pytest.fixture
def deploy(tmp_path):
    """Runs the target with these variables; the end of it, and the calls of the AWS CLI."""
    log, stub, archive = tmp_path / "log", tmp_path / "bin" / "aws", tmp_path / "keyturn-lambda-arm64.zip"
    stub.parent.mkdir()
    stub.write_text(STUB.format(python=sys.executable, log=str(log)))
    stub.chmod(0o755)
    archive.write_bytes(b"an archive")
    log.touch()

    def run(*variables, archive=archive):
        command = ["make", "--no-print-directory", "-C", ROOT, "deploy", f"ARCHIVE={archive}", *variables]
        environment = {"PATH": f"{stub.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return ran, [json.loads(line) for line in log.read_text().splitlines()]

    return run


def test_a_schedule_arrives_whole(deploy):
    parameters = f"""AwsIamUser=ci-deployer SecretArn={test_template.SECRET} "RotateSchedule=cron(0 4 1 * ? *)" 'Grace=1d 12h'"""
    ran, (copy, deployed) = deploy("BUCKET=bucket", f"PARAMETERS={parameters}")
    assert ran.returncode == 0, ran.stderr
    assert copy[:2] == ["s3", "cp"] and copy[3].startswith("s3://bucket/keyturn/")
    key = copy[3].removeprefix("s3://bucket/")
    given = deployed[deployed.index("--parameter-overrides") + 1 :]
    assert given == [
        "CodeBucket=bucket",
        f"CodeKey={key}",
        "Architecture=arm64",
        "AwsIamUser=ci-deployer",
        f"SecretArn={test_template.SECRET}",
        "RotateSchedule=cron(0 4 1 * ? *)",
        "Grace=1d 12h",
    ]
    stack = test_template.template.resolved(dict(parameter.split("=", 1) for parameter in given))
    assert stack["Rotate"]["Properties"]["ScheduleExpression"] == "cron(0 4 1 * ? *)"


def test_a_new_archive_has_a_new_key(deploy, tmp_path):
    other = tmp_path / "other.zip"
    other.write_bytes(b"another archive")
    deploy("BUCKET=bucket")
    _, (first, _, second, _) = deploy("BUCKET=bucket", archive=other)
    assert first[3] != second[3]


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ([], "BUCKET=… is missing"),
        (["BUCKET=bucket", "ARCHIVE=no-such.zip"], "no-such.zip does not exist"),
        (["BUCKET=bucket", "PARAMETERS=RotateSchedule=cron(0 4 1 * ? *)"], "yntax error"),
    ],
)
def test_what_can_not_be_deployed_is_not_begun(deploy, variables, says):
    ran, calls = deploy(*variables)
    assert ran.returncode != 0 and calls == []
    assert says in ran.stdout + ran.stderr
