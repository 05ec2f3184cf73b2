"""The key actions' own rules, through a real SDK."""

import pytest
from botocore.exceptions import ClientError
from conftest import ACCOUNT, allow, refusal

SELF_SERVICE = allow(
    ["iam:CreateAccessKey", "iam:ListAccessKeys", "iam:UpdateAccessKey"]
    + ["iam:DeleteAccessKey", "iam:GetAccessKeyLastUsed"],
    "arn:aws:iam::*:user/${aws:username}",
)


def test_a_third_key_exceeds_the_quota_even_when_one_is_inactive(stand):
    key = stand.user("deploy", SELF_SERVICE)
    iam = stand.client("iam", key)
    second = iam.create_access_key()["AccessKey"]
    iam.update_access_key(AccessKeyId=second["AccessKeyId"], Status="Inactive")
    assert refusal(iam.create_access_key) == ("LimitExceeded", 409)
    assert len(stand.keys("deploy")) == 2


def test_lists_come_in_pages_that_the_paginator_follows(stand):
    iam = stand.client("iam", stand.user("deploy", SELF_SERVICE))
    iam.create_access_key()
    first = iam.list_access_keys(MaxItems=1)
    assert first["IsTruncated"] is True
    rest = iam.list_access_keys(Marker=first["Marker"])
    assert rest["IsTruncated"] is False
    pages = iam.get_paginator("list_access_keys").paginate(
        PaginationConfig={"PageSize": 1}
    )
    ids = [key["AccessKeyId"] for page in pages for key in page["AccessKeyMetadata"]]
    assert ids == [key["id"] for key in stand.keys("deploy")]
    assert refusal(iam.list_access_keys, Marker="nonsense")[0] == "ValidationError"


def test_without_a_user_name_only_the_callers_own_keys_are_reached(stand):
    victim = stand.user("victim")
    iam = stand.client("iam", stand.user("deploy", allow("iam:*")))
    target = {"AccessKeyId": victim["AccessKeyId"]}
    assert refusal(iam.delete_access_key, **target) == ("NoSuchEntity", 404)
    stop = {**target, "Status": "Inactive"}
    assert refusal(iam.update_access_key, **stop) == ("NoSuchEntity", 404)
    assert [key["status"] for key in stand.keys("victim")] == ["Active"]


def test_an_unknown_status_changes_nothing(stand):
    key = stand.user("deploy", SELF_SERVICE)
    iam = stand.client("iam", key)
    wish = {"AccessKeyId": key["AccessKeyId"], "Status": "Sleeping"}
    assert refusal(iam.update_access_key, **wish) == ("ValidationError", 400)
    assert stand.keys("deploy")[0]["status"] == "Active"


def test_last_use_is_told_only_once_there_was_one(stand):
    iam = stand.client("iam", stand.user("deploy", SELF_SERVICE))
    second = iam.create_access_key()["AccessKey"]
    asked = {"AccessKeyId": second["AccessKeyId"]}
    never = iam.get_access_key_last_used(**asked)["AccessKeyLastUsed"]
    assert never == {"Region": "N/A", "ServiceName": "N/A"}
    stand.who(second)
    used = iam.get_access_key_last_used(**asked)["AccessKeyLastUsed"]
    assert used["ServiceName"] == "sts"
    assert used["Region"] == "us-east-1"


def test_a_refused_call_is_no_use_of_the_key(stand):
    key = stand.user("deploy")
    assert refusal(stand.client("iam", key).list_users) == ("AccessDenied", 403)
    assert stand.keys("deploy")[0]["last_used"] is None


def test_last_use_of_a_key_outside_the_account_is_denied(stand):
    iam = stand.client("iam", stand.user("deploy", allow("*")))
    asked = {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE"}
    assert refusal(iam.get_access_key_last_used, **asked) == ("AccessDenied", 403)


def test_planted_keys_have_the_age_and_use_they_were_given(stand):
    stand.user("deploy", SELF_SERVICE)
    old = stand.post("keys", user="deploy", age=90 * 86_400)
    planted = {"AccessKeyId": old["id"], "SecretAccessKey": old["secret"]}
    assert stand.who(planted).endswith("user/deploy")
    stand.post("used", id=old["id"], ago=7200, service="s3")
    iam = stand.client("iam")
    used = iam.get_access_key_last_used(AccessKeyId=old["id"])["AccessKeyLastUsed"]
    assert used["ServiceName"] == "s3"
    listed = iam.list_access_keys(UserName="deploy")["AccessKeyMetadata"]
    by_id = {key["AccessKeyId"]: key["CreateDate"] for key in listed}
    ages = sorted((max(by_id.values()) - made).days for made in by_id.values())
    assert ages == [0, 90]


def test_a_key_planted_inactive_never_works(stand):
    stand.user("deploy")
    stand.clock(linger=3600)
    planted = stand.post("keys", user="deploy", age=60, status="Inactive")
    key = {"AccessKeyId": planted["id"], "SecretAccessKey": planted["secret"]}
    assert refusal(stand.client("sts", key).get_caller_identity) == (
        "InvalidClientTokenId",
        403,
    )


def test_a_user_with_keys_or_groups_is_not_deleted(stand):
    iam = stand.client("iam")
    key = stand.user("deploy")
    assert refusal(iam.delete_user, UserName="deploy") == ("DeleteConflict", 409)
    iam.delete_access_key(UserName="deploy", AccessKeyId=key["AccessKeyId"])
    iam.create_group(GroupName="bots")
    iam.add_user_to_group(GroupName="bots", UserName="deploy")
    assert refusal(iam.delete_user, UserName="deploy") == ("DeleteConflict", 409)
    iam.remove_user_from_group(GroupName="bots", UserName="deploy")
    iam.delete_user(UserName="deploy")


def test_root_lists_its_own_key(stand):
    listed = stand.client("iam").list_access_keys()["AccessKeyMetadata"]
    assert [key["AccessKeyId"] for key in listed] == ["test"]
    assert stand.client("sts").get_caller_identity()["Arn"].endswith(":root")


def test_the_refusal_says_who_what_where_and_why(stand):
    iam = stand.client("iam", stand.user("deploy", SELF_SERVICE, Path="/bots/"))
    with pytest.raises(ClientError) as refused:
        iam.delete_user(UserName="deploy")
    deploy = f"arn:aws:iam::{ACCOUNT}:user/bots/deploy"
    assert refused.value.response["Error"]["Message"] == (
        f"User: {deploy} is not authorized to perform: iam:DeleteUser on resource:"
        f" {deploy} because no identity-based policy allows the iam:DeleteUser action"
    )
