"""Secrets Manager, whose refusals are all 400."""

import pytest
from conftest import ACCOUNT, allow, refusal


@pytest.fixture
def manager(stand):
    return stand.client("secretsmanager")


@pytest.mark.parametrize("wanted", ["cfg/keys", "full", "partial"])
def test_a_secret_is_found_by_name_and_by_both_arns(manager, wanted):
    arn = manager.create_secret(Name="cfg/keys", SecretString="v")["ARN"]
    forms = {"full": arn, "partial": arn.rpartition("-")[0]}
    found = manager.get_secret_value(SecretId=forms.get(wanted, wanted))
    assert (found["ARN"], found["SecretString"]) == (arn, "v")


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        ("cfg/keys-??????", None),
        ("cfg/*", None),
        ("cfg/keys", ("AccessDeniedException", 400)),
        ("other-??????", ("AccessDeniedException", 400)),
    ],
)
def test_policies_reach_a_secret_by_its_suffix(stand, manager, ending, expected):
    manager.create_secret(Name="cfg/keys", SecretString="v")
    arn = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:{ending}"
    key = stand.user("reader", allow("secretsmanager:GetSecretValue", arn))
    reader = stand.client("secretsmanager", key)
    if expected is None:
        reader.get_secret_value(SecretId="cfg/keys")
    else:
        assert refusal(reader.get_secret_value, SecretId="cfg/keys") == expected


def test_what_is_missing_is_400(manager):
    found = refusal(manager.get_secret_value, SecretId="nothing")
    assert found == ("ResourceNotFoundException", 400)


def test_the_size_limit_is_in_bytes(manager):
    manager.create_secret(Name="cfg", SecretString="x" * 65_536)
    wide = "é" * 40_000
    found = refusal(manager.put_secret_value, SecretId="cfg", SecretString=wide)
    assert found == ("ValidationException", 400)


def test_a_token_names_one_value_for_ever(manager):
    manager.create_secret(Name="cfg", SecretString="one")
    token = "t" * 32
    put = {"SecretId": "cfg", "ClientRequestToken": token}
    manager.put_secret_value(**put, SecretString="two")
    manager.put_secret_value(**put, SecretString="two")
    found = refusal(manager.put_secret_value, **put, SecretString="three")
    assert found == ("ResourceExistsException", 400)
    previous = manager.get_secret_value(SecretId="cfg", VersionStage="AWSPREVIOUS")
    assert previous["SecretString"] == "one"


def test_a_deleted_secret_can_only_be_restored(manager):
    manager.create_secret(Name="cfg", SecretString="one")
    manager.delete_secret(SecretId="cfg")
    gone = ("InvalidRequestException", 400)
    assert refusal(manager.get_secret_value, SecretId="cfg") == gone
    put = {"SecretId": "cfg", "SecretString": "two"}
    assert refusal(manager.put_secret_value, **put) == gone
    manager.restore_secret(SecretId="cfg")
    assert manager.get_secret_value(SecretId="cfg")["SecretString"] == "one"


def test_versions_are_dated_by_the_world(stand, manager):
    manager.create_secret(Name="cfg", SecretString="one")
    before = manager.get_secret_value(SecretId="cfg")["CreatedDate"]
    stand.clock(advance=86_400)
    manager.put_secret_value(SecretId="cfg", SecretString="two")
    after = manager.get_secret_value(SecretId="cfg")["CreatedDate"]
    assert (after - before).days == 1


def test_what_would_have_no_effect_is_refused_loudly(manager):
    manager.create_secret(Name="cfg", SecretString="one")
    policy = {"SecretId": "cfg", "ResourcePolicy": "{}"}
    assert refusal(manager.put_resource_policy, **policy) == ("NotModelled", 501)
