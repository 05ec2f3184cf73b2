"""The signature, by the worked example of AWS's documentation."""

from dataclasses import replace

import pytest

from strict_aws.errors import AwsError
from strict_aws.sigv4 import check_signature, check_window, read_authorization
from strict_aws.wire import HttpRequest

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SIGNED_AT = 1440938160.0  # 2015-08-30 12:36:00 UTC
SIGNATURE = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
EXAMPLE = HttpRequest(
    method="GET",
    path="/",
    query="Action=ListUsers&Version=2010-05-08",
    headers={
        "host": "iam.amazonaws.com",
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
        "x-amz-date": "20150830T123600Z",
        "authorization": "AWS4-HMAC-SHA256"
        " Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request,"
        " SignedHeaders=content-type;host;x-amz-date,"
        f" Signature={SIGNATURE}",
    },
    body=b"",
)


def verify(request: HttpRequest, secret: str = SECRET) -> None:
    check_signature(request, read_authorization(request), secret)


def with_header(name: str, value: str) -> HttpRequest:
    return replace(EXAMPLE, headers={**EXAMPLE.headers, name: value})


def test_the_documented_signature_is_accepted():
    verify(EXAMPLE)


@pytest.mark.parametrize(
    "changed",
    [
        replace(EXAMPLE, body=b"x"),
        replace(EXAMPLE, method="POST"),
        replace(EXAMPLE, query="Action=ListRoles&Version=2010-05-08"),
        with_header("content-type", "text/plain"),
        with_header("x-amz-security-token", "not covered by the signature"),
    ],
)
def test_anything_changed_on_the_way_breaks_it(changed):
    with pytest.raises(AwsError, match="SignatureDoesNotMatch"):
        verify(changed)


def test_another_secret_breaks_it():
    with pytest.raises(AwsError, match="SignatureDoesNotMatch"):
        verify(EXAMPLE, "another")


@pytest.mark.parametrize("drift", [-14 * 60, 0, 14 * 60])
def test_within_fifteen_minutes_the_date_is_good(drift):
    check_window(EXAMPLE, [SIGNED_AT + drift])


def test_one_clock_that_agrees_is_enough():
    check_window(EXAMPLE, [SIGNED_AT + 86_400, SIGNED_AT])


@pytest.mark.parametrize(
    ("drift", "words"),
    [
        (16 * 60, "Signature expired: 20150830T123600Z is now earlier than"),
        (-16 * 60, "Signature not yet current: 20150830T123600Z is still later than"),
    ],
)
def test_outside_fifteen_minutes_aws_says_which_way(drift, words):
    with pytest.raises(AwsError, match=words):
        check_window(EXAMPLE, [SIGNED_AT + drift])


@pytest.mark.parametrize(
    "header",
    [
        "Basic dGVzdDp0ZXN0",
        "AWS4-HMAC-SHA256 Credential=AKID/20150830/us-east-1/iam/aws4_request",
        "AWS4-HMAC-SHA256 Credential=AKID, SignedHeaders=host, Signature=00",
    ],
)
def test_a_malformed_header_is_an_incomplete_signature(header):
    with pytest.raises(AwsError, match="IncompleteSignature"):
        read_authorization(with_header("authorization", header))
