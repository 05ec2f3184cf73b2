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
                yield policy["PolicyName"], policy["PolicyDocument"]


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
        ("GroupName: !Ref Schedules", "GroupName: !Ref Schedulez"),
        ('!Equals [!Ref SecurityGroupIds, ""]', '!Equals [!Ref SecurityGroup, ""]'),
    ],
)
def test_a_planted_error_is_found(right, wrong):
    assert right in TEXT
    assert findings(TEXT.replace(right, wrong, 1)), wrong


# Lambda wants the rights to all network interfaces, and adds its condition key to the requests of any service.
EXCUSED = {"join-vpc": {"RESOURCE_STAR", "UNKNOWN_CONDITION_FOR_ACTION"}}


@VARIANTS
def test_parliament_finds_nothing(parameters):
    for name, policy in policies(parameters):
        found = parliament.analyze_policy_string(json.dumps(policy)).findings
        found = [finding for finding in found if finding.issue not in EXCUSED.get(name, ())]
        assert not found, [str(finding) for finding in found]


def test_parliament_would_find_an_unknown_action():
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "iam:RotateAccessKey", "Resource": "*"}],
    }
    assert parliament.analyze_policy_string(json.dumps(policy)).findings


@VARIANTS
def test_every_statement_names_what_it_is_for(parameters):
    for name, policy in policies(parameters):
        for statement in policy["Statement"]:
            assert statement["Sid"]
            if name == "join-vpc":
                continue
            named = statement["Resource"]
            assert statement["Effect"] == "Allow"
            assert isinstance(named, str) and named.startswith("arn:aws:") and "*" not in named.removesuffix(":*")


def test_only_a_function_in_a_vpc_has_rights_to_network_interfaces_and_its_code_has_none():
    assert [p["PolicyName"] for p in template.resolved(GIVEN)["FunctionRole"]["Properties"]["Policies"]] == [
        "keyturn",
        "log-and-tell",
    ]
    role = template.resolved(EVERYTHING)["FunctionRole"]["Properties"]
    assert "ManagedPolicyArns" not in role
    (lambdas, code) = role["Policies"][2]["PolicyDocument"]["Statement"]
    assert (lambdas["Effect"], code["Effect"]) == ("Allow", "Deny")
    assert lambdas["Action"] == code["Action"] and all(action.startswith("ec2:") for action in code["Action"])
    function = "arn:aws:lambda:us-east-1:123456789012:function:keyturn"
    assert code["Condition"] == {"ArnEquals": {"lambda:SourceFunctionArn": function}}
    assert template.resolved(EVERYTHING)["Function"]["Properties"]["VpcConfig"] == {
        "SubnetIds": ["subnet-1", "subnet-2"],
        "SecurityGroupIds": ["sg-1"],
    }


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
        assert resources[schedule]["Properties"]["GroupName"] == "keyturn"
    alarms = {name: r["Properties"] for name, r in resources.items() if r["Type"] == "AWS::CloudWatch::Alarm"}
    assert {name: alarm["MetricName"] for name, alarm in alarms.items()} == {
        "RunFailed": "Errors",
        "NotInvoked": "InvocationDroppedCount",
        "NobodyLooks": "KeyAgeDays",
        "KeyTooOld": "KeyAgeDays",
        "TokenExpires": "TokenDaysLeft",
    }
    assert all(alarm["AlarmActions"] for alarm in alarms.values())
    assert alarms["NotInvoked"]["Dimensions"] == [{"Name": "ScheduleGroup", "Value": "keyturn"}]


def test_silence_is_an_alarm_after_two_days_and_a_few_hours_while_something_is_scheduled():
    silence = template.resolved(GIVEN)["NobodyLooks"]["Properties"]
    assert silence["Period"] * silence["EvaluationPeriods"] == 2 * 24 * 60 * 60
    # CloudWatch takes at most seven days, and only of periods of an hour or more.
    assert silence["Period"] == 3600
    assert (silence["Statistic"], silence["Threshold"]) == ("SampleCount", 1)
    assert (silence["ComparisonOperator"], silence["TreatMissingData"]) == ("LessThanThreshold", "breaching")
    assert "NobodyLooks" not in template.resolved({**GIVEN, "ScheduleState": "DISABLED"})


@pytest.mark.parametrize(("parameters", "advice"), [(GIVEN, "into the secret"), (CREATED, "GitLabToken=")])
def test_the_advice_on_an_expiring_token_survives_an_update_of_the_stack(parameters, advice):
    assert advice in template.resolved(parameters)["TokenExpires"]["Properties"]["AlarmDescription"]


def test_one_run_at_a_time_unless_the_account_can_reserve_nothing():
    function = template.resolved(GIVEN)["Function"]["Properties"]
    assert function["ReservedConcurrentExecutions"] == 1
    assert "ReservedConcurrentExecutions" not in template.resolved(EVERYTHING)["Function"]["Properties"]


def test_the_secret_that_is_created_has_the_three_names():
    text = template.resolved(CREATED)["Secret"]["Properties"]["SecretString"]
    assert json.loads(text) == {"GITLAB_TOKEN": "glpat-x", "GITLAB_GROUP_ID": "42", "AWS_IAM_USER": "ci-deployer"}
    assert "Secret" not in template.resolved(GIVEN)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("AwsIamUser", "*", "without its path"),
        ("AwsIamUser", "ci/deployer", "without its path"),
        ("AwsIamUserPath", "ci", "end with a slash"),
        ("AwsIamUserPath", "/*/", "end with a slash"),
        ("AwsIamUserPath", f"/{'a' * 511}/", "longer than 512"),
        ("SecretArn", "gitlab-key-rotation-secrets", "whole ARN"),
        ("SecretArn", "arn:aws:secretsmanager:us-east-1:123456789012:secret:*", "whole ARN"),
        ("GitLabToken", 'glpat-"x', "access token"),
        ("GitLabApiUrl", "http://gitlab.example.com/api/v4", "https URL"),
        ("RotateSchedule", "monthly", "cron(...)"),
        ("Grace", "1 day", "such as 24h"),
        ("Architecture", "arm", "not one of its values"),
        ("LogLevel", "debug", "not one of its values"),
        ("Timeout", "279", "less than 280"),
        ("Timeout", "901", "more than 900"),
        ("MemorySize", "64", "less than 128"),
        ("MemorySize", "plenty", "not a number"),
        ("MaxKeyAgeDays", "0", "less than 1"),
        ("SubnetIds", "subnet-1, subnet-2", "no blanks"),
        ("SecurityGroupIds", "default", "ids of security groups"),
    ],
)
def test_a_parameter_that_can_not_be_meant_is_refused(name, value, says):
    with pytest.raises(SystemExit) as refusal:
        template.resolved({**GIVEN, name: value})
    assert str(refusal.value).startswith(f"{name}=") and says in str(refusal.value)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        (LEAST, "Give SecretArn, or GitLabToken with GitLabGroupId"),
        ({**LEAST, "GitLabToken": "glpat-x"}, "Give SecretArn, or GitLabToken with GitLabGroupId"),
        ({**LEAST, "GitLabGroupId": "42"}, "Give SecretArn, or GitLabToken with GitLabGroupId"),
        ({**GIVEN, "SubnetIds": "subnet-1"}, "SubnetIds and SecurityGroupIds, or neither"),
        ({**GIVEN, "SecurityGroupIds": "sg-1"}, "SubnetIds and SecurityGroupIds, or neither"),
    ],
)
def test_parameters_that_belong_together_are_given_together(parameters, says):
    with pytest.raises(SystemExit) as refusal:
        template.resolved(parameters)
    assert says in str(refusal.value)


@pytest.mark.parametrize("parameters", [GIVEN, CREATED, EVERYTHING], ids=["given", "created", "everything"])
def test_what_belongs_together_is_taken(parameters):
    assert template.resolved(parameters)["Function"]
