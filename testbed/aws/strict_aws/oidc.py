"""Web identity tokens, as AssumeRoleWithWebIdentity checks them.

AWS trusts an issuer for which the account has an OpenID Connect provider, and
an audience that is among the provider's client ids. It fetches the issuer's
keys; here they are read from the file given with ``--jwks``, anew each time,
so an issuer may change its keys. Without that file signatures are not checked.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from . import moto_state
from .errors import AwsError
from .worldclock import WorldClock


@dataclass(frozen=True)
class WebIdentity:
    """A token that was accepted."""

    provider_arn: str
    provider_url: str
    """Without a scheme, as condition keys are prefixed with it."""
    subject: str
    audience: str
    claims: dict[str, Any]


def check_token(token: str, clock: WorldClock, jwks: Path | None) -> WebIdentity:
    """Raises AWS's refusal unless the token is good."""
    header, claims, signature = _parts(token)
    issuer = claims.get("iss")
    subject = claims.get("sub")
    if not isinstance(issuer, str) or not isinstance(subject, str):
        raise _invalid("Missing a required claim: iss or sub")
    provider = _provider_of(issuer)
    if jwks is not None:
        signed = token.rpartition(".")[0].encode()
        _check_signature(header, signed, signature, jwks)
    audiences = claims.get("aud")
    if isinstance(audiences, str):
        audiences = [audiences]
    accepted = [one for one in audiences or [] if one in provider.client_id_list]
    if not accepted:
        raise _invalid("Incorrect token audience")
    _check_dates(claims, clock)
    return WebIdentity(provider.arn, provider.url, subject, accepted[0], claims)


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    malformed = _invalid("The ID Token provided is not a valid JWT.")
    pieces = token.split(".")
    if len(pieces) != 3:
        raise malformed
    try:
        header = json.loads(_decode(pieces[0]))
        claims = json.loads(_decode(pieces[1]))
        signature = _decode(pieces[2])
    except (ValueError, binascii.Error):
        raise malformed from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise malformed
    return header, claims, signature


def _provider_of(issuer: str) -> Any:
    wanted = issuer.removeprefix("https://").rstrip("/")
    for provider in moto_state.iam().open_id_providers.values():
        if provider.url.rstrip("/") == wanted:
            return provider
    raise _invalid(f"No OpenIDConnect provider found in your account for {issuer}")


def _check_dates(claims: dict[str, Any], clock: WorldClock) -> None:
    """Issuers live by clocks of their own: a token is good if it is good by the
    wall clock or by the world clock, so an issuer may stay behind when a test
    moves the world, or move with it."""
    expires = claims.get("exp")
    if not isinstance(expires, int | float):
        raise _invalid("Missing a required claim: exp")
    moments = (clock.client_now(), clock.now())
    if min(moments) >= expires:
        raise AwsError(
            "ExpiredTokenException",
            f"Token expired: current date/time {int(min(moments))} must be before the"
            f" expiration date/time {int(expires)}",
            400,
        )
    if max(moments) < float(claims.get("nbf", 0)):
        raise _invalid("The ID Token provided is not valid yet.")


def _check_signature(
    header: dict[str, Any], signed: bytes, signature: bytes, jwks: Path
) -> None:
    if header.get("alg") != "RS256":
        raise _invalid(f"Unsupported signing algorithm {header.get('alg')}")
    for key in json.loads(jwks.read_text())["keys"]:
        if key.get("kty") == "RSA" and key.get("kid") == header.get("kid"):
            try:
                _public_key(key).verify(
                    signature, signed, padding.PKCS1v15(), hashes.SHA256()
                )
            except InvalidSignature:
                raise _invalid("Couldn't verify the signature of the token") from None
            return
    raise _invalid(
        "Couldn't retrieve verification key from your identity provider, please"
        " reference AssumeRoleWithWebIdentity documentation for requirements"
    )


def _public_key(key: dict[str, str]) -> rsa.RSAPublicKey:
    modulus = int.from_bytes(_decode(key["n"]), "big")
    exponent = int.from_bytes(_decode(key["e"]), "big")
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def _decode(piece: str) -> bytes:
    padded = piece + "=" * (-len(piece) % 4)
    return base64.b64decode(padded, altchars=b"-_", validate=True)


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidIdentityToken", message, 400)
