"""lambda/template.yaml: what the linters say of it, and what its safety rests on."""

import json
import os
import pathlib
import subprocess
import sys

import parliament
import pytest
from cfnlint.api import ManualArgs, lint

ROOT = pathlib.Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "testbed"))
import template  # noqa: E402

TEXT = template.TEMPLATE.read_text()
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:gitlab-AbCdEf"
LEAST = {"AwsIamUser": "ci-deployer", "CodeBucket": "bucket", "CodeKey": "keyturn.zip"}
GIVEN = {**LEAST, "SecretArn": SECRET}
CREATED = {**LEAST, "GitLabToken": "glpat-x", "GitLabGroupId": "42"}
EVERYTHING = {
    **CREATED,
    "AlarmEmail": "a@example.com",
    "SecretKmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab",
    "GitLabApiUrl": "https://gitlab.example.com/api/v4",
    "SubnetIds": "subnet-1,subnet-2",
    "SecurityGroupIds": "sg-1",
    "ReservedConcurrency": "none",
}
VARIANTS = pytest.mark.parametrize("parameters", [GIVEN, CREATED, EVERYTHING], ids=["given", "created", "everything"])


def findings(text):
    return [str(match) for match in lint(text, config=ManualArgs(regions=["us-east-1", "eu-central-1"]))]


def policies(parameters):
    for resource in template.resolved(parameters).values():
        if resource["Type"] == "AWS::IAM::Role":
            for policy in resource["Properties"]["Policies"]:
                yield policy["PolicyDocument"]


def test_cfn_lint_finds_nothing():
    assert findings(TEXT) == []


def test_sam_finds_nothing(tmp_path):
    sam = pathlib.Path(sys.executable).parent / "sam"
    command = [sam, "validate", "--lint", "--region", "us-east-1", "--template", template.TEMPLATE]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SAM_CLI_TELEMETRY": "0"}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0 and "is a valid SAM Template" in ran.stdout, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("Runtime: provided.al2023", "Runtime: provided.al2032"),
        ("ReservedConcurrentExecutions:", "ReservedConcurrency:"),
        ("!GetAtt FunctionRole.Arn", "!GetAtt FunctionRolle.Arn"),
        ("iam:GetAccessKeyLastUsed", "iam:GetAccessKeyLastUse"),
        ("MaximumRetryAttempts: 0", "MaximumRetryAttempts: 200"),
        ('FlexibleTimeWindow: { Mode: "OFF" }', "FlexibleTimeWindow: { Mode: NEVER }"),
        ("ComparisonOperator: GreaterThanThreshold", "ComparisonOperator: Greater"),
        ("- CodeBucket\n", "- CodeBuckett\n"),
        ("Value: !Ref AwsIamUser\n", "Value: !Ref AwsIamUsr\n"),
    ],
)
def test_a_planted_error_is_found(right, wrong):
    assert right in TEXT
    assert findings(TEXT.replace(right, wrong, 1)), wrong


@VARIANTS
def test_parliament_finds_nothing(parameters):
    for policy in policies(parameters):
        found = parliament.analyze_policy_string(json.dumps(policy)).findings
        assert not found, [str(finding) for finding in found]


def test_parliament_would_find_an_unknown_action():
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "iam:RotateAccessKey", "Resource": "*"}],
    }
    assert parliament.analyze_policy_string(json.dumps(policy)).findings


@VARIANTS
def test_every_statement_names_what_it_is_for(parameters):
    for policy in policies(parameters):
        for statement in policy["Statement"]:
            named = statement["Resource"]
            assert statement["Effect"] == "Allow"
            assert isinstance(named, str) and named.startswith("arn:aws:") and "*" not in named.removesuffix(":*")


def test_the_role_reaches_the_keys_of_one_user_with_its_path():
    resources = template.resolved({**GIVEN, "AwsIamUserPath": "/ci/"})
    (keyturn, _) = resources["FunctionRole"]["Properties"]["Policies"]
    (keys, secret) = keyturn["PolicyDocument"]["Statement"]
    assert keys["Resource"] == "arn:aws:iam::123456789012:user/ci/ci-deployer"
    assert secret["Resource"] == SECRET


@VARIANTS
def test_nothing_is_repeated_by_itself_and_failures_are_told(parameters):
    resources = template.resolved(parameters)
    invocations = resources["Invocations"]["Properties"]
    assert invocations["MaximumRetryAttempts"] == 0
    assert invocations["DestinationConfig"]["OnFailure"]["Destination"].startswith("arn:aws:sns:")
    for schedule, command in [("Rotate", "rotate"), ("Retire", "retire")]:
        target = resources[schedule]["Properties"]["Target"]
        assert target["RetryPolicy"] == {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 3600}
        assert json.loads(target["Input"]) == {"command": command}
    alarms = [r["Properties"] for r in resources.values() if r["Type"] == "AWS::CloudWatch::Alarm"]
    assert sorted(alarm["MetricName"] for alarm in alarms) == ["Errors", "KeyAgeDays", "TokenDaysLeft"]
    assert all(alarm["AlarmActions"] for alarm in alarms)


def test_one_run_at_a_time_unless_the_account_can_reserve_nothing():
    function = template.resolved(GIVEN)["Function"]["Properties"]
    assert function["ReservedConcurrentExecutions"] == 1
    assert "ReservedConcurrentExecutions" not in template.resolved(EVERYTHING)["Function"]["Properties"]


def test_the_secret_that_is_created_has_the_three_names():
    text = template.resolved(CREATED)["Secret"]["Properties"]["SecretString"]
    assert json.loads(text) == {"GITLAB_TOKEN": "glpat-x", "GITLAB_GROUP_ID": "42", "AWS_IAM_USER": "ci-deployer"}
    assert "Secret" not in template.resolved(GIVEN)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AwsIamUser", "*"),
        ("AwsIamUser", "ci/deployer"),
        ("AwsIamUserPath", "ci"),
        ("AwsIamUserPath", "/*/"),
        ("SecretArn", "gitlab-key-rotation-secrets"),
        ("SecretArn", "arn:aws:secretsmanager:us-east-1:123456789012:secret:*"),
        ("GitLabToken", 'glpat-"x'),
        ("GitLabApiUrl", "http://gitlab.example.com/api/v4"),
        ("RotateSchedule", "monthly"),
        ("Grace", "1 day"),
        ("Architecture", "arm"),
    ],
)
def test_a_parameter_that_can_not_be_meant_is_refused(name, value):
    with pytest.raises(SystemExit):
        template.resolved({**GIVEN, name: value})
