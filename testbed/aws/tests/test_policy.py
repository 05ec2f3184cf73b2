"""Policies, statement by statement."""

import json

import pytest
from conftest import allow, deny, document

from strict_aws.policy import PolicyDocument, fill_variables, judge

DEPLOY = "arn:aws:iam::123456789012:user/deploy"
BOT = "arn:aws:iam::123456789012:user/bots/night"
CONTEXT = {
    "aws:username": ["deploy"],
    "aws:sourceip": ["10.1.2.3"],
    "aws:currenttime": ["2026-11-22T03:00:00Z"],
    "aws:securetransport": ["true"],
    "aws:resourcetag/rotate": ["yes"],
    "aws:tagkeys": ["owner", "stage"],
    "s3:max-keys": ["10"],
    "aws:principalarn": [DEPLOY],
}


def decision(*statements, action="iam:CreateAccessKey", resource=DEPLOY):
    policy = PolicyDocument("p", document(*statements))
    return judge([policy], action, resource, CONTEXT).decision


def conditioned(operator, key, value):
    return decision(allow("*", Condition={operator: {key: value}})) == "allowed"


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([allow("*")], "allowed"),
        ([], "implicitDeny"),
        ([allow("iam:createaccesskey")], "allowed"),
        ([allow("iam:Create*Key")], "allowed"),
        ([allow("iam:CreateAccessKe?")], "allowed"),
        ([allow("iam:CreateAccess")], "implicitDeny"),
        ([allow("*", DEPLOY)], "allowed"),
        ([allow("*", DEPLOY.upper())], "implicitDeny"),
        ([allow("*", "arn:aws:iam::*:user/${aws:username}")], "allowed"),
        ([allow("*", "arn:aws:iam::*:user/${aws:nothing}")], "implicitDeny"),
        ([allow("*", "arn:aws:iam::*:user/bots/*")], "implicitDeny"),
        ([allow("*"), deny("iam:*", DEPLOY)], "explicitDeny"),
        ([allow("*"), deny("iam:*", BOT)], "allowed"),
        ([{"Effect": "Allow", "NotAction": "sts:*", "Resource": "*"}], "allowed"),
        ([{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], "implicitDeny"),
        ([{"Effect": "Allow", "Action": "*", "NotResource": BOT}], "allowed"),
        ([{"Effect": "Allow", "Action": "*", "NotResource": DEPLOY}], "implicitDeny"),
    ],
)
def test_decisions(statements, expected):
    assert decision(*statements) == expected


def test_a_path_is_part_of_the_arn():
    by_name = allow("*", "arn:aws:iam::123456789012:user/night")
    by_path = allow("*", "arn:aws:iam::123456789012:user/bots/*")
    assert decision(by_name, resource=BOT) == "implicitDeny"
    assert decision(by_path, resource=BOT) == "allowed"


def test_variables_are_plain_text_in_a_document_of_the_old_version():
    statement = allow("*", "arn:aws:iam::*:user/${aws:username}")
    old = json.dumps({"Version": "2008-10-17", "Statement": [statement]})
    judged = judge([PolicyDocument("p", old)], "iam:GetUser", DEPLOY, CONTEXT)
    assert judged.decision == "implicitDeny"


def test_variables_know_defaults_and_literal_wildcards():
    assert fill_variables("${aws:username}/${*}${?}${$}", CONTEXT) == "deploy/*?$"
    assert fill_variables("${aws:nothing, 'team'}", CONTEXT) == "team"
    assert fill_variables("${aws:nothing}", CONTEXT) is None


@pytest.mark.parametrize(
    ("operator", "key", "value", "expected"),
    [
        ("StringEquals", "aws:username", "deploy", True),
        ("StringEquals", "AWS:UserName", ["other", "deploy"], True),
        ("StringEquals", "aws:username", "Deploy", False),
        ("StringEqualsIgnoreCase", "aws:username", "Deploy", True),
        ("StringLike", "aws:username", "dep*", True),
        ("StringNotEquals", "aws:username", ["a", "deploy"], False),
        ("StringNotEquals", "aws:missing", "a", True),
        ("StringEquals", "aws:missing", "a", False),
        ("StringEqualsIfExists", "aws:missing", "a", True),
        ("StringEquals", "aws:ResourceTag/rotate", "yes", True),
        ("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:user/*", True),
        ("ArnLike", "aws:PrincipalArn", "arn:aws:*:user/*", False),
        ("ArnNotEquals", "aws:PrincipalArn", BOT, True),
        ("IpAddress", "aws:SourceIp", "10.0.0.0/8", True),
        ("IpAddress", "aws:SourceIp", ["192.0.2.0/24", "203.0.113.7"], False),
        ("NotIpAddress", "aws:SourceIp", "10.0.0.0/8", False),
        ("Bool", "aws:SecureTransport", True, True),
        ("Bool", "aws:MultiFactorAuthPresent", "true", False),
        ("BoolIfExists", "aws:MultiFactorAuthPresent", "true", True),
        ("DateGreaterThan", "aws:CurrentTime", "2026-11-01T00:00:00Z", True),
        ("DateLessThan", "aws:CurrentTime", "2026-11-01T00:00:00Z", False),
        ("NumericLessThanEquals", "s3:max-keys", 10, True),
        ("NumericGreaterThan", "s3:max-keys", "10", False),
        ("Null", "aws:missing", "true", True),
        ("Null", "aws:username", "true", False),
        ("Null", "aws:username", "false", True),
        ("ForAllValues:StringEquals", "aws:TagKeys", ["owner", "stage"], True),
        ("ForAllValues:StringEquals", "aws:TagKeys", ["owner"], False),
        ("ForAllValues:StringEquals", "aws:missing", ["owner"], True),
        ("ForAnyValue:StringEquals", "aws:TagKeys", ["stage"], True),
        ("ForAnyValue:StringEquals", "aws:missing", ["stage"], False),
    ],
)
def test_conditions(operator, key, value, expected):
    assert conditioned(operator, key, value) is expected
