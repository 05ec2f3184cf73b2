"""AWS's refusals: one exception, and the two shapes it takes on the wire.

IAM and STS speak the query protocol: XML, with statuses such as 403, 404 and
409. Secrets Manager speaks AWS JSON 1.1: every refusal is a 400 and some
conditions have another name there (UnrecognizedClientException for
InvalidClientTokenId).
"""

from __future__ import annotations


class AwsError(Exception):
    """A refusal as AWS would word it."""

    def __init__(
        self, code: str, message: str, status: int = 400, json_code: str | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.json_code = json_code or code


def missing_authentication() -> AwsError:
    return AwsError(
        "MissingAuthenticationToken",
        "Request is missing Authentication Token",
        403,
        "MissingAuthenticationTokenException",
    )


def incomplete_signature(message: str) -> AwsError:
    return AwsError("IncompleteSignature", message, 400, "IncompleteSignatureException")


def unknown_key() -> AwsError:
    """Unknown, deleted and Inactive keys can't be told apart from outside."""
    return AwsError(
        "InvalidClientTokenId",
        "The security token included in the request is invalid.",
        403,
        "UnrecognizedClientException",
    )


def expired_session() -> AwsError:
    return AwsError(
        "ExpiredToken",
        "The security token included in the request is expired",
        403,
        "ExpiredTokenException",
    )


def bad_signature(message: str) -> AwsError:
    return AwsError("SignatureDoesNotMatch", message, 403, "InvalidSignatureException")


def signature_mismatch() -> AwsError:
    return bad_signature(
        "The request signature we calculated does not match the signature you provided."
        " Check your AWS Secret Access Key and signing method."
        " Consult the service documentation for details."
    )


def access_denied(message: str) -> AwsError:
    return AwsError("AccessDenied", message, 403, "AccessDeniedException")


def validation_error(message: str) -> AwsError:
    return AwsError("ValidationError", message, 400, "ValidationException")


def constraint_violated(parameter: str, value: str | None, constraint: str) -> AwsError:
    """AWS names parameters in these messages with a lower-case first letter."""
    name = parameter[0].lower() + parameter[1:]
    shown = "null" if value is None else f"'{value}'"
    return validation_error(
        f"1 validation error detected: Value {shown} at '{name}' failed to satisfy"
        f" constraint: {constraint}"
    )


def no_such_entity(message: str) -> AwsError:
    return AwsError("NoSuchEntity", message, 404)


def unknown_action(action: str, version: str) -> AwsError:
    return AwsError(
        "InvalidAction",
        f"Could not find operation {action} for version {version}",
        400,
        "UnknownOperationException",
    )


def not_modelled(what: str) -> AwsError:
    """Not AWS's words: the stand-in would rather stop a test than guess."""
    return AwsError("NotModelled", f"this stand-in does not model {what}", 501)


def internal_failure(message: str) -> AwsError:
    return AwsError("InternalFailure", message, 500, "InternalServiceError")
