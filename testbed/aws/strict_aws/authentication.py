"""From a signed request to the principal who signed it.

The order of the checks is AWS's where it can be seen from outside: the header
must be readable, the key known and in service, its session token right, the
date within the window, and only then the signature itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import errors, moto_state
from .principals import ROOT, ROOT_KEY_ID, ROOT_SECRET, Principal, user_principal
from .sessions import Session
from .sigv4 import check_signature, check_window, read_authorization
from .wire import DEFAULT_REGION, Call
from .world import World


@dataclass(frozen=True)
class Caller:
    """Who signed a call, and with what."""

    principal: Principal
    key_id: str
    session: Session | None = None


@dataclass(frozen=True)
class _Credential:
    secret: str
    caller: Caller


def authenticate(world: World, call: Call) -> Caller:
    request = call.request
    authorization = read_authorization(request)
    credential = _credential_of(world, authorization.key_id)
    if credential is None:
        raise errors.unknown_key()
    session = credential.caller.session
    # A session token beside a long-term key is as wrong as a missing one beside
    # temporary credentials: both are InvalidClientTokenId.
    expected_token = session.token if session else None
    if request.headers.get("x-amz-security-token") != expected_token:
        raise errors.unknown_key()
    check_window(request, world.clock.signature_clocks())
    if authorization.service != call.service:
        raise errors.bad_signature(
            f"Credential should be scoped to correct service: '{call.service}'."
        )
    check_signature(request, authorization, credential.secret)
    if session is not None:
        _check_session(session, call.service, world.clock.now())
    return credential.caller


def _check_session(session: Session, service: str, now: float) -> None:
    if now >= session.expires_at:
        raise errors.expired_session()
    if session.principal.kind == "user" and service == "iam":
        # Credentials of GetSessionToken can't call IAM without MFA, and MFA is
        # not modelled.
        raise errors.unknown_key()


def _credential_of(world: World, key_id: str) -> _Credential | None:
    if key_id == ROOT_KEY_ID:
        return _Credential(ROOT_SECRET, Caller(ROOT, key_id))
    session = world.sessions.find(key_id)
    if session is not None:
        return _Credential(session.secret, Caller(session.principal, key_id, session))
    if not world.propagation.key_works(key_id, world.clock.now()):
        return None
    key = moto_state.find_key(key_id)
    if key is not None:
        return _user_credential(key.user_name, key_id, key.secret_access_key)
    departed = world.propagation.departed(key_id)
    if departed is not None:
        return _user_credential(departed.user_name, key_id, departed.secret)
    return None


def _user_credential(
    user_name: str | None, key_id: str, secret: str
) -> _Credential | None:
    user = moto_state.find_user(user_name) if user_name else None
    if user is None:
        return None
    principal = user_principal(user.name, user.id, user.arn)
    return _Credential(secret, Caller(principal, key_id))


def note_use(world: World, caller: Caller, call: Call) -> None:
    """Last-used data of a long-term key. AWS collects it with a lag; here it is
    exact, so a test that wants a lag sets the last use itself."""
    key = moto_state.find_key(caller.key_id)
    if key is not None:
        region = DEFAULT_REGION if call.service == "iam" else call.region
        moto_state.set_last_used(key, world.clock.now(), call.service, region)
