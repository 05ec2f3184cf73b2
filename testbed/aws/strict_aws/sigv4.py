"""Signature Version 4, header form, as AWS verifies it.

Presigned query strings and SigV4A are not accepted: no SDK uses them for the
three services here.
"""

from __future__ import annotations

import calendar
import hashlib
import hmac
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

from . import errors
from .wire import HttpRequest

ALGORITHM = "AWS4-HMAC-SHA256"
WINDOW_SECONDS = 15 * 60
_STAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class Authorization:
    """The parts of an ``Authorization`` header."""

    key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def read_authorization(request: HttpRequest) -> Authorization:
    """Takes the header apart; AWS answers a malformed one with IncompleteSignature."""
    header = request.headers.get("authorization")
    if header is None:
        raise errors.missing_authentication()
    algorithm, _, rest = header.partition(" ")
    if algorithm != ALGORITHM:
        raise errors.incomplete_signature(
            f"Unsupported AWS 'algorithm': '{algorithm}'."
        )
    fields = {}
    for part in rest.split(","):
        name, _, value = part.strip().partition("=")
        fields[name] = value
    for name in ("Credential", "Signature", "SignedHeaders"):
        if not fields.get(name):
            raise errors.incomplete_signature(
                f"Authorization header requires '{name}' parameter."
            )
    credential = fields["Credential"].split("/")
    if len(credential) != 5 or credential[4] != "aws4_request":
        raise errors.incomplete_signature(
            "Credential must have exactly 5 slash-delimited elements, e.g."
            f" keyid/date/region/service/term, got '{fields['Credential']}'"
        )
    key_id, date, region, service, _ = credential
    signed = tuple(fields["SignedHeaders"].split(";"))
    return Authorization(key_id, date, region, service, signed, fields["Signature"])


def check_window(request: HttpRequest, clocks: Sequence[float]) -> None:
    """A signature is good for fifteen minutes either side of its date.

    It is enough that one of the ``clocks``, in seconds since the epoch, says so;
    a refusal speaks of the first.
    """
    stamp = _signing_stamp(request)
    try:
        signed_at = calendar.timegm(time.strptime(stamp, _STAMP))
    except ValueError:
        raise errors.incomplete_signature(f"'{stamp}' is not a date.") from None
    if any(abs(signed_at - clock) <= WINDOW_SECONDS for clock in clocks):
        return
    now = clocks[0]
    shown_now = time.strftime(_STAMP, time.gmtime(now))
    if signed_at < now - WINDOW_SECONDS:
        limit = time.strftime(_STAMP, time.gmtime(now - WINDOW_SECONDS))
        raise errors.bad_signature(
            f"Signature expired: {stamp} is now earlier than {limit}"
            f" ({shown_now} - 15 min.)"
        )
    limit = time.strftime(_STAMP, time.gmtime(now + WINDOW_SECONDS))
    raise errors.bad_signature(
        f"Signature not yet current: {stamp} is still later than {limit}"
        f" ({shown_now} + 15 min.)"
    )


def check_signature(
    request: HttpRequest, authorization: Authorization, secret: str
) -> None:
    """Recomputes the signature with the key's secret."""
    _check_signed_headers(request, authorization)
    stamp = _signing_stamp(request)
    if not stamp.startswith(authorization.date):
        raise errors.bad_signature(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of"
            f" date from HTTP: '{authorization.date}' != '{stamp[:8]}'."
        )
    expected = signature_of(request, authorization, secret)
    if not hmac.compare_digest(expected.encode(), authorization.signature.encode()):
        raise errors.signature_mismatch()


def signature_of(
    request: HttpRequest, authorization: Authorization, secret: str
) -> str:
    """The signature the holder of ``secret`` would have sent."""
    canonical = canonical_request(request, authorization.signed_headers)
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join((ALGORITHM, _signing_stamp(request), authorization.scope, digest))
    key = f"AWS4{secret}".encode()
    for part in (authorization.date, authorization.region, authorization.service):
        key = hmac.digest(key, part.encode(), "sha256")
    key = hmac.digest(key, b"aws4_request", "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def canonical_request(request: HttpRequest, signed_headers: tuple[str, ...]) -> str:
    """The body's hash is computed here, never taken from a header of the request."""
    headers = []
    for name in signed_headers:
        value = re.sub(r"\s+", " ", request.headers.get(name, "")).strip()
        headers.append(f"{name}:{value}\n")
    return "\n".join(
        (
            request.method,
            quote(request.path, safe="/~"),  # the path as sent, encoded once more
            _canonical_query(request.query),
            "".join(headers),
            ";".join(signed_headers),
            hashlib.sha256(request.body).hexdigest(),
        )
    )


def _canonical_query(query: str) -> str:
    pairs = []
    for name, value in parse_qsl(query, keep_blank_values=True):
        pairs.append((quote(name, safe="~"), quote(value, safe="~")))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _check_signed_headers(request: HttpRequest, authorization: Authorization) -> None:
    """``host`` and every ``x-amz-`` header sent must be covered, or they could be
    changed on the way."""
    if "host" not in authorization.signed_headers:
        raise errors.bad_signature(
            "'Host' must be a 'SignedHeader' in the AWS Authorization."
        )
    for name in request.headers:
        if name.startswith("x-amz-") and name not in authorization.signed_headers:
            raise errors.bad_signature(
                f"'{name}' must be a 'SignedHeader' in the AWS Authorization."
            )


def _signing_stamp(request: HttpRequest) -> str:
    stamp = request.headers.get("x-amz-date", "")
    if not re.fullmatch(r"\d{8}T\d{6}Z", stamp):
        raise errors.incomplete_signature(
            "Date must be in ISO-8601 'basic format'. Got '"
            f"{stamp}'. See http://en.wikipedia.org/wiki/ISO_8601"
        )
    return stamp
