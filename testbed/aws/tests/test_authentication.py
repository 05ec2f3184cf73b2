"""Who is let in, and in which words the others are refused."""

import re

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from conftest import ACCOUNT, allow, refusal

UNKNOWN = {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": "s" * 40}


def calls(stand, key):
    """One harmless call of each service."""
    return {
        "sts": stand.client("sts", key).get_caller_identity,
        "iam": stand.client("iam", key).list_access_keys,
        "secretsmanager": stand.client("secretsmanager", key).list_secrets,
    }


def stopped(stand, how):
    key = stand.user("deploy", allow("*"))
    iam = stand.client("iam")
    names = {"UserName": "deploy", "AccessKeyId": key["AccessKeyId"]}
    if how == "inactive":
        iam.update_access_key(**names, Status="Inactive")
    if how == "deleted":
        iam.delete_access_key(**names)
    return UNKNOWN if how == "unknown" else key


@pytest.mark.parametrize("how", ["unknown", "inactive", "deleted"])
def test_keys_out_of_service_can_not_be_told_apart(stand, how):
    key = stopped(stand, how)
    found = {service: refusal(call) for service, call in calls(stand, key).items()}
    assert found == {
        "sts": ("InvalidClientTokenId", 403),
        "iam": ("InvalidClientTokenId", 403),
        "secretsmanager": ("UnrecognizedClientException", 400),
    }


def test_a_wrong_secret_has_another_name_in_each_protocol(stand):
    key = {**stand.user("deploy", allow("*")), "SecretAccessKey": "wrong"}
    found = {service: refusal(call) for service, call in calls(stand, key).items()}
    assert found == {
        "sts": ("SignatureDoesNotMatch", 403),
        "iam": ("SignatureDoesNotMatch", 403),
        "secretsmanager": ("InvalidSignatureException", 400),
    }


def test_a_stale_server_clock_refuses_everyone_and_shows_in_the_date(stand):
    key = stand.user("deploy")
    stand.clock(skew=3600)
    assert refusal(stand.client("sts", key).get_caller_identity) == (
        "SignatureDoesNotMatch",
        403,
    )
    assert stand.get("clock")["skew"] == 3600
    stand.clock(skew=600)
    stand.who(key)


def test_nothing_is_done_for_a_request_that_is_not_signed(stand):
    answer = requests.post(
        stand.url, data={"Action": "ListUsers", "Version": "2010-05-08"}, timeout=10
    )
    assert answer.status_code == 403
    assert "<Code>MissingAuthenticationToken</Code>" in answer.text


def test_errors_have_the_shape_that_sdk_parsers_read(stand):
    answer = requests.post(
        stand.url, data={"Action": "ListUsers", "Version": "2010-05-08"}, timeout=10
    )
    request_id = answer.headers["x-amzn-requestid"]
    assert re.fullmatch(
        '<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error>'
        "<Type>Sender</Type><Code>[^<]*</Code><Message>[^<]*</Message></Error>"
        f"<RequestId>{request_id}</RequestId></ErrorResponse>",
        answer.text,
    )


def test_a_signature_for_another_service_is_refused(stand):
    key = stand.user("deploy", allow("*"))
    request = AWSRequest(
        "POST",
        stand.url,
        data="Action=ListUsers&Version=2010-05-08",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    signer = Credentials(key["AccessKeyId"], key["SecretAccessKey"])
    SigV4Auth(signer, "sts", "us-east-1").add_auth(request)
    answer = requests.post(
        stand.url, data=request.data, headers=dict(request.headers), timeout=10
    )
    assert answer.status_code == 403
    assert "scoped to correct service: 'iam'" in answer.text


def test_an_action_that_does_not_exist_is_named(stand):
    request = AWSRequest(
        "POST",
        stand.url,
        data="Action=MakeTea&Version=2010-05-08",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    SigV4Auth(Credentials("test", "test"), "iam", "us-east-1").add_auth(request)
    answer = requests.post(
        stand.url, data=request.data, headers=dict(request.headers), timeout=10
    )
    assert answer.status_code == 400
    assert "<Code>InvalidAction</Code>" in answer.text


def test_the_boot_key_is_root(stand):
    identity = stand.client("sts").get_caller_identity()
    assert identity["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    assert identity["UserId"] == ACCOUNT
