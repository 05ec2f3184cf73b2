"""Faults, as an SDK meets them."""

import time

import pytest
import requests
from botocore.exceptions import ClientError, ConnectionClosedError
from botocore.parsers import ResponseParserError
from conftest import allow, refusal


@pytest.fixture
def iam(stand):
    stand.user("deploy", allow("*"))
    return stand.client("iam")


def create(iam):
    return iam.create_access_key(UserName="deploy")


def test_error_refuses_without_applying(stand, iam):
    stand.fault("CreateAccessKey", "error")
    assert refusal(create, iam=iam) == ("Throttling", 400)
    assert len(stand.keys("deploy")) == 1
    create(iam)


def test_error_takes_the_status_and_code_it_is_given(stand, iam):
    stand.fault(
        "*", "error", status=503, code="ServiceUnavailable", message="later", times=2
    )
    assert refusal(create, iam=iam) == ("ServiceUnavailable", 503)
    secrets = stand.client("secretsmanager")
    assert refusal(secrets.list_secrets) == ("ServiceUnavailable", 503)


def test_before_drops_the_connection_and_applies_nothing(stand, iam):
    stand.fault("CreateAccessKey", "before")
    with pytest.raises(ConnectionClosedError):
        create(iam)
    assert len(stand.keys("deploy")) == 1
    assert stand.journal()[-1]["status"] is None


def test_after_applies_and_loses_the_answer(stand, iam):
    stand.fault("CreateAccessKey", "after")
    with pytest.raises(ConnectionClosedError):
        create(iam)
    assert len(stand.keys("deploy")) == 2
    last = stand.journal()[-1]
    assert (last["status"], last["fault"]) == (200, "after")


@pytest.mark.parametrize("apply_first", [False, True])
def test_delay_holds_the_answer(stand, iam, apply_first):
    stand.fault("CreateAccessKey", "delay", seconds=0.3, apply_first=apply_first)
    started = time.monotonic()
    create(iam)
    assert time.monotonic() - started >= 0.3
    assert len(stand.keys("deploy")) == 2


@pytest.mark.parametrize(("apply", "keys"), [(False, 1), (True, 2)])
def test_body_answers_what_no_aws_would(stand, iam, apply, keys):
    stand.fault("CreateAccessKey", "body", body="<html>proxy</html>", apply=apply)
    with pytest.raises((ResponseParserError, KeyError)):
        create(iam)["AccessKey"]
    assert len(stand.keys("deploy")) == keys


def test_skip_lets_calls_pass_and_times_counts_the_struck(stand, iam):
    stand.fault("ListUsers", "error", skip=1, times=2)
    codes = []
    for _ in range(5):
        try:
            iam.list_users()
            codes.append("ok")
        except ClientError:
            codes.append("struck")
    assert codes == ["ok", "struck", "struck", "ok", "ok"]
    assert stand.get("faults") == []


def test_every_fault_counts_calls_from_its_own_arming(stand, iam):
    stand.fault("ListUsers", "error", code="First")
    stand.fault("ListUsers", "error", code="Second", skip=1)
    assert refusal(iam.list_users)[0] == "First"
    assert refusal(iam.list_users)[0] == "Second"


def test_match_chooses_by_parameter_and_signed_by_chooses_by_key(stand, iam):
    stand.user("other")
    key = stand.user("third", allow("*"))
    stand.fault("ListAccessKeys", "error", match={"UserName": "other"})
    stand.fault("*", "error", code="Slow", signed_by=key["AccessKeyId"], times=None)
    iam.list_access_keys(UserName="deploy")
    assert refusal(iam.list_access_keys, UserName="other")[0] == "Throttling"
    signed = stand.client("sts", key)
    assert refusal(signed.get_caller_identity)[0] == "Slow"
    assert refusal(signed.get_caller_identity)[0] == "Slow"
    assert stand.delete("fault") == {"cleared": 1}
    signed.get_caller_identity()


@pytest.mark.parametrize(
    "wish",
    [
        {"action": "*", "mode": "explode"},
        {"action": "*", "mode": "delay"},
        {"action": "*", "mode": "error", "tiems": 2},
        {"action": "*", "mode": "error", "times": "2"},
        {"mode": "error"},
    ],
)
def test_a_fault_that_makes_no_sense_is_not_armed(stand, wish):
    answer = requests.post(f"{stand.url}/_strict/fault", json=wish, timeout=10)
    assert answer.status_code == 400
    assert stand.get("faults") == []


def test_the_journal_tells_every_call_and_no_secret(stand, iam):
    stand.delete("journal")
    secret = create(iam)["AccessKey"]["SecretAccessKey"]
    refusal(iam.list_access_keys, UserName="nobody")
    manager = stand.client("secretsmanager")
    manager.create_secret(Name="cfg", SecretString="hidden-value")
    journal = stand.journal()
    assert [(e["n"], e["action"], e["status"], e["code"]) for e in journal] == [
        (1, "CreateAccessKey", 200, None),
        (2, "ListAccessKeys", 404, "NoSuchEntity"),
        (3, "CreateSecret", 200, None),
    ]
    first, second, third = (entry["connection"] for entry in journal)
    assert first == second != third, "each client keeps a connection of its own"
    first = journal[0]
    assert first["key_id"] == "test"
    assert first["principal"].endswith(":root")
    assert first["parameters"] == {"UserName": "deploy"}
    assert secret not in str(journal)
    assert "hidden-value" not in str(journal)
