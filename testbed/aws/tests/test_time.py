"""The world's clock, propagation, and what they rule."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import requests
from botocore.exceptions import ClientError
from conftest import allow, refusal

from strict_aws.propagation import DepartedKey, Propagation

REFUSED = ("InvalidClientTokenId", 403)


def date_of(stand):
    """The Date header of an answer."""
    answer = requests.get(f"{stand.url}/_strict/health", timeout=10)
    return parsedate_to_datetime(answer.headers["Date"])


def test_advancing_moves_dates_but_not_the_signature_window(stand):
    sts = stand.client("sts", stand.user("deploy", allow("*")))
    week = timedelta(days=7)
    before = date_of(stand)
    sts.get_caller_identity()
    stand.clock(advance=week.total_seconds())
    for _ in range(3):
        answer = sts.get_caller_identity()
    shown = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    assert week <= shown - before < week + timedelta(seconds=30)


def test_a_client_may_sign_by_the_date_it_was_told(stand, monkeypatch):
    sts = stand.client("sts", stand.user("deploy"))
    stand.clock(advance=7 * 86_400)
    codes = []
    for days in (0, 7, 3):
        shifted = (datetime.now(UTC) + timedelta(days=days)).replace(tzinfo=None)
        with monkeypatch.context() as patched:
            patched.setattr(
                "botocore.auth.get_current_datetime", lambda *_, now=shifted, **__: now
            )
            try:
                sts.get_caller_identity()
                codes.append("taken")
            except ClientError as refused:
                codes.append(refused.response["Error"]["Code"])
    assert codes == ["taken", "taken", "SignatureDoesNotMatch"]


def test_advances_add_up_and_a_reset_undoes_them(stand):
    stand.clock(advance=3600)
    stand.clock(advance=3600)
    assert date_of(stand) - datetime.now(UTC) > timedelta(minutes=119)
    stand.post("reset")
    assert date_of(stand) - datetime.now(UTC) < timedelta(minutes=1)


def test_keys_and_uses_are_dated_by_the_world(stand):
    stand.clock(advance=86_400)
    key = stand.user("deploy")
    stand.clock(advance=86_400)
    stand.who(key)
    iam = stand.client("iam")
    made = iam.list_access_keys(UserName="deploy")["AccessKeyMetadata"][0]["CreateDate"]
    used = iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])
    now = datetime.now(UTC)
    minute = timedelta(minutes=1)
    assert abs(made - now - timedelta(days=1)) < minute
    last = used["AccessKeyLastUsed"]["LastUsedDate"]
    assert abs(last - now - timedelta(days=2)) < minute


def test_a_new_key_is_refused_until_it_is_visible(stand):
    stand.clock(visible=8)
    key = stand.user("deploy")
    sts = stand.client("sts", key)
    assert refusal(sts.get_caller_identity) == REFUSED
    stand.clock(advance=7)
    assert refusal(sts.get_caller_identity) == REFUSED
    stand.clock(advance=1)
    sts.get_caller_identity()


def test_a_delay_does_not_touch_what_was_there_before(stand):
    old = stand.user("deploy")
    stand.clock(visible=60)
    stand.who(old)
    iam = stand.client("iam")
    new = iam.create_access_key(UserName="deploy")["AccessKey"]
    assert refusal(stand.client("sts", new).get_caller_identity) == REFUSED
    stand.clock(visible=0)
    stand.who(new)


def test_a_deactivated_key_lingers(stand):
    key = stand.user("deploy", allow("*"))
    stand.clock(linger=4)
    iam = stand.client("iam", key)
    iam.update_access_key(AccessKeyId=key["AccessKeyId"], Status="Inactive")
    stand.who(key)
    stand.clock(advance=4)
    assert refusal(iam.list_access_keys) == REFUSED


def test_a_deleted_key_lingers_as_the_user_it_was(stand):
    key = stand.user("deploy", allow("*"))
    stand.clock(linger=4)
    stand.client("iam").delete_access_key(
        UserName="deploy", AccessKeyId=key["AccessKeyId"]
    )
    assert stand.keys("deploy") == []
    assert stand.who(key).endswith("user/deploy")
    stand.clock(advance=4)
    assert refusal(stand.client("sts", key).get_caller_identity) == REFUSED


def test_an_inactive_key_that_is_deleted_does_not_come_back_to_life():
    propagation = Propagation()
    propagation.linger = 10
    propagation.key_deactivated("AKIA", 0.0)
    propagation.key_deleted(DepartedKey("AKIA", "secret", "deploy"), 100.0)
    assert not propagation.key_works("AKIA", 101.0)


def test_deactivating_twice_does_not_prolong_the_lingering():
    propagation = Propagation()
    propagation.linger = 10
    propagation.key_deactivated("AKIA", 0.0)
    propagation.key_deactivated("AKIA", 9.0)
    assert not propagation.key_works("AKIA", 10.0)
    propagation.key_activated("AKIA")
    assert propagation.key_works("AKIA", 10.0)
