"""Sessions: roles assumed by users and by tokens of an OpenID Connect issuer."""

import base64
import json
import time

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from conftest import ACCOUNT, allow, deny, document, refusal
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

ROLE = f"arn:aws:iam::{ACCOUNT}:role/rotator"
ADMIN = f"arn:aws:iam::{ACCOUNT}:user/admin"
ISSUER = "https://gitlab.example.com"
SUBJECT = "project_path:ops/keys:ref_type:branch:ref:main"


def trust(**principal):
    action = "sts:AssumeRoleWithWebIdentity"
    if "AWS" in principal:
        action = "sts:AssumeRole"
    return {"Effect": "Allow", "Principal": principal, "Action": action}


def make_role(stand, *trusted, grants=()):
    iam = stand.client("iam")
    iam.create_role(RoleName="rotator", AssumeRolePolicyDocument=document(*trusted))
    if grants:
        iam.put_role_policy(
            RoleName="rotator", PolicyName="p", PolicyDocument=document(*grants)
        )


def assume(stand, key, **more):
    sts = stand.client("sts", key)
    answer = sts.assume_role(RoleArn=ROLE, RoleSessionName="night", **more)
    return answer["Credentials"]


def assume_refused(stand, key, **more):
    sts = stand.client("sts", key)
    return refusal(sts.assume_role, RoleArn=ROLE, RoleSessionName="night", **more)


def test_a_session_acts_as_the_role_until_it_expires(stand):
    admin = stand.user("admin")
    stand.user("deploy")
    make_role(stand, trust(AWS=ADMIN), grants=[allow("iam:ListAccessKeys")])
    session = assume(stand, admin, DurationSeconds=900)
    assert session["AccessKeyId"].startswith("ASIA")
    identity = stand.client("sts", session).get_caller_identity()
    assert identity["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/rotator/night"
    assert identity["UserId"].startswith("AROA")
    iam = stand.client("iam", session)
    iam.list_access_keys(UserName="deploy")
    assert refusal(iam.create_access_key, UserName="deploy") == ("AccessDenied", 403)
    stand.clock(advance=900)
    assert refusal(iam.list_access_keys, UserName="deploy") == ("ExpiredToken", 403)
    manager = stand.client("secretsmanager", session)
    assert refusal(manager.list_secrets) == ("ExpiredTokenException", 400)


def test_a_role_must_say_whose_keys_it_means(stand):
    admin = stand.user("admin")
    make_role(stand, trust(AWS=ADMIN), grants=[allow("iam:*")])
    iam = stand.client("iam", assume(stand, admin))
    assert refusal(iam.list_access_keys) == ("ValidationError", 400)
    assert refusal(iam.create_access_key) == ("ValidationError", 400)


def test_trust_in_the_account_needs_the_callers_own_permission(stand):
    admin = stand.user("admin")
    make_role(stand, trust(AWS=f"arn:aws:iam::{ACCOUNT}:root"))
    assert assume_refused(stand, admin) == ("AccessDenied", 403)
    stand.client("iam").put_user_policy(
        UserName="admin",
        PolicyName="p",
        PolicyDocument=document(allow("sts:AssumeRole", ROLE)),
    )
    assume(stand, admin)


def test_trust_in_the_caller_is_enough_unless_denied(stand):
    admin = stand.user("admin")
    make_role(stand, trust(AWS=ADMIN))
    assume(stand, admin)
    stand.client("iam").put_user_policy(
        UserName="admin", PolicyName="p", PolicyDocument=document(deny("sts:*"))
    )
    assert assume_refused(stand, admin) == ("AccessDenied", 403)


def test_root_and_strangers_assume_nothing(stand):
    make_role(stand, trust(AWS=ADMIN))
    other = stand.user("other", allow("*"))
    assert assume_refused(stand, other) == ("AccessDenied", 403)
    assert assume_refused(stand, None) == ("AccessDenied", 403)


def test_a_session_policy_narrows_the_role(stand):
    admin = stand.user("admin")
    make_role(stand, trust(AWS=ADMIN), grants=[allow("iam:*")])
    session = assume(stand, admin, Policy=document(allow("iam:List*")))
    iam = stand.client("iam", session)
    iam.list_users()
    assert refusal(iam.create_user, UserName="x") == ("AccessDenied", 403)


def test_a_longer_session_than_the_role_allows_is_refused(stand):
    admin = stand.user("admin")
    make_role(stand, trust(AWS=ADMIN))
    found = assume_refused(stand, admin, DurationSeconds=7200)
    assert found == ("ValidationError", 400)


@pytest.mark.parametrize("token", [None, "another"])
def test_a_session_key_is_nothing_without_its_token(stand, token):
    admin = stand.user("admin")
    make_role(stand, trust(AWS=ADMIN))
    session = {**assume(stand, admin), "SessionToken": token}
    assert refusal(stand.client("sts", session).get_caller_identity) == (
        "InvalidClientTokenId",
        403,
    )


def test_a_session_token_of_a_user_does_not_reach_iam(stand):
    key = stand.user("deploy", allow("*"))
    session = stand.client("sts", key).get_session_token()["Credentials"]
    assert stand.who(session).endswith("user/deploy")
    assert refusal(stand.client("iam", session).list_users) == (
        "InvalidClientTokenId",
        403,
    )


class Issuer:
    """A GitLab, as far as AWS can see it."""

    def __init__(self, stand):
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        numbers = self._key.public_key().public_numbers()
        public = {
            "kty": "RSA",
            "kid": "one",
            "n": _encoded(numbers.n.to_bytes(256, "big")),
            "e": _encoded(numbers.e.to_bytes(3, "big")),
        }
        stand.jwks.write_text(json.dumps({"keys": [public]}))
        iam = stand.client("iam")
        self.arn = iam.create_open_id_connect_provider(
            Url=ISSUER, ClientIDList=[ISSUER], ThumbprintList=["a" * 40]
        )["OpenIDConnectProviderArn"]
        subject = {"StringLike": {"gitlab.example.com:sub": "project_path:ops/keys:*"}}
        make_role(stand, {**trust(Federated=self.arn), "Condition": subject})
        self._sts = boto3.client(
            "sts",
            region_name="us-east-1",
            endpoint_url=stand.url,
            config=Config(signature_version=UNSIGNED),
        )

    def token(self, kid="one", **claims):
        now = int(time.time())
        standard = {"iss": ISSUER, "aud": ISSUER, "sub": SUBJECT}
        standard |= {"iat": now, "nbf": now - 5, "exp": now + 300}
        header = _encoded(json.dumps({"alg": "RS256", "kid": kid}).encode())
        body = _encoded(json.dumps({**standard, **claims}).encode())
        signed = f"{header}.{body}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_encoded(signature)}"

    def exchange(self, token):
        return self._sts.assume_role_with_web_identity(
            RoleArn=ROLE, RoleSessionName="ci-job", WebIdentityToken=token
        )

    def refused(self, token):
        return refusal(self.exchange, token=token)


def _encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.fixture
def issuer(stand):
    return Issuer(stand)


def test_a_signed_token_becomes_a_session(stand, issuer):
    answer = issuer.exchange(issuer.token())
    assert answer["SubjectFromWebIdentityToken"] == SUBJECT
    assert stand.who(answer["Credentials"]).endswith("assumed-role/rotator/ci-job")


def test_a_token_changed_after_signing_is_refused(issuer):
    header, _, signature = issuer.token().split(".")
    _, other_body, _ = issuer.token(sub="project_path:ops/keys:other").split(".")
    forged = f"{header}.{other_body}.{signature}"
    assert issuer.refused(forged) == ("InvalidIdentityToken", 400)


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"sub": "project_path:evil/keys:ref"}, ("AccessDenied", 403)),
        ({"aud": "https://elsewhere.example"}, ("InvalidIdentityToken", 400)),
        ({"iss": "https://elsewhere.example"}, ("InvalidIdentityToken", 400)),
        ({"exp": 1}, ("ExpiredTokenException", 400)),
        ({"nbf": 9_999_999_999}, ("InvalidIdentityToken", 400)),
        ({"kid": "two"}, ("InvalidIdentityToken", 400)),
    ],
)
def test_a_token_that_says_the_wrong_thing_is_refused(issuer, claims, expected):
    assert issuer.refused(issuer.token(**claims)) == expected


def test_a_token_is_good_by_the_issuers_clock_after_the_world_moved(stand, issuer):
    stand.clock(advance=86_400)
    issuer.exchange(issuer.token())
    moved = int(time.time()) + 86_400
    issuer.exchange(issuer.token(iat=moved, nbf=moved - 5, exp=moved + 300))
