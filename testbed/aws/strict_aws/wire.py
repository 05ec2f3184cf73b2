"""Requests and answers as they cross the wire, in AWS's two protocols."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from . import errors
from .errors import AwsError

IAM_VERSION = "2010-05-08"
STS_VERSION = "2011-06-15"
SERVICE_OF_VERSION = {IAM_VERSION: "iam", STS_VERSION: "sts"}
VERSION_OF_SERVICE = {service: v for v, service in SERVICE_OF_VERSION.items()}
DEFAULT_REGION = "us-east-1"

Protocol = Literal["query", "json"]


@dataclass(frozen=True)
class HttpRequest:
    """One request, with header names in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    client_ip: str = "127.0.0.1"
    secure: bool = False
    connection: int = 0


@dataclass(frozen=True)
class Answer:
    """One response; the server adds Date and Content-Length."""

    status: int
    body: bytes
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Dropped:
    """No response: the connection is closed under the client."""


@dataclass(frozen=True)
class Call:
    """An AWS API call read from a request, not yet known to be genuine."""

    request: HttpRequest
    service: str
    protocol: Protocol
    action: str
    parameters: Mapping[str, Any]
    region: str
    request_id: str

    def get(self, name: str) -> Any:
        return self.parameters.get(name)

    def with_parameters(self, **changes: str) -> Call:
        """The same call with some parameters filled in."""
        merged = {**self.parameters, **changes}
        return Call(
            self.request,
            self.service,
            self.protocol,
            self.action,
            merged,
            self.region,
            self.request_id,
        )

    def members(self, name: str) -> list[str]:
        """A query-protocol list, sent as ``Name.member.1``, ``Name.member.2``…"""
        found = []
        index = 1
        while f"{name}.member.{index}" in self.parameters:
            found.append(self.parameters[f"{name}.member.{index}"])
            index += 1
        return found

    def tags(self) -> dict[str, str]:
        """The tags this call would set, by key."""
        if self.protocol == "json":
            listed = self.get("Tags")
            if not isinstance(listed, list):
                return {}
            return {tag["Key"]: tag.get("Value", "") for tag in listed}
        found = {}
        index = 1
        while f"Tags.member.{index}.Key" in self.parameters:
            key = self.parameters[f"Tags.member.{index}.Key"]
            found[key] = self.parameters.get(f"Tags.member.{index}.Value", "")
            index += 1
        return found


def protocol_of(request: HttpRequest) -> Protocol:
    return "json" if "x-amz-target" in request.headers else "query"


def read_call(request: HttpRequest) -> Call:
    """Which action of which service the request asks for."""
    scope = _credential_scope(request)
    region = scope[0] if scope else DEFAULT_REGION
    request_id = str(uuid.uuid4())
    if protocol_of(request) == "json":
        target, _, action = request.headers["x-amz-target"].rpartition(".")
        if target != "secretsmanager":
            raise errors.unknown_action(action, target)
        return Call(
            request,
            "secretsmanager",
            "json",
            action,
            _json_parameters(request.body),
            region,
            request_id,
        )
    parameters = _query_parameters(request)
    action = parameters.get("Action", "")
    if not action:
        if "authorization" not in request.headers:
            raise errors.missing_authentication()
        raise AwsError("MissingAction", "Missing Action", 400)
    version = parameters.get("Version", "")
    service = SERVICE_OF_VERSION.get(version, "")
    if not version and scope:
        service = scope[1]
    if service not in VERSION_OF_SERVICE:
        raise errors.unknown_action(action, version)
    return Call(request, service, "query", action, parameters, region, request_id)


def _credential_scope(request: HttpRequest) -> tuple[str, str] | None:
    """(region, service) of the Authorization header, if there is one to read."""
    authorization = request.headers.get("authorization", "")
    _, _, rest = authorization.partition("Credential=")
    parts = rest.split(",")[0].strip().split("/")
    if len(parts) < 5:
        return None
    return parts[-3], parts[-2]


def _query_parameters(request: HttpRequest) -> dict[str, str]:
    pairs = parse_qsl(request.query, keep_blank_values=True)
    try:
        pairs += parse_qsl(request.body.decode("utf-8"), keep_blank_values=True)
    except UnicodeDecodeError:
        raise AwsError("MalformedQueryString", "The body is not UTF-8", 400) from None
    return dict(pairs)


def _json_parameters(body: bytes) -> dict[str, Any]:
    try:
        parameters = json.loads(body or b"{}")
    except ValueError:
        parameters = None
    if not isinstance(parameters, dict):
        raise AwsError("SerializationException", "The body is not a JSON object", 400)
    return parameters


def _namespace(service: str) -> str:
    version = VERSION_OF_SERVICE.get(service, IAM_VERSION)
    return f"https://{service}.amazonaws.com/doc/{version}/"


def to_xml(value: Any) -> str:
    """The query protocol's rendering of a result; ``None`` members are left out."""
    if isinstance(value, Mapping):
        parts = []
        for name, member in value.items():
            if member is not None:
                parts.append(f"<{name}>{to_xml(member)}</{name}>")
        return "".join(parts)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "".join(f"<member>{to_xml(member)}</member>" for member in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return escape(str(value))


def result_answer(call: Call, result: Mapping[str, Any] | None = None) -> Answer:
    """A success of IAM or STS."""
    wrapped = ""
    if result is not None:
        name = f"{call.action}Result"
        wrapped = f"<{name}>{to_xml(result)}</{name}>"
    metadata = to_xml({"ResponseMetadata": {"RequestId": call.request_id}})
    name = f"{call.action}Response"
    body = f'<{name} xmlns="{_namespace(call.service)}">{wrapped}{metadata}</{name}>'
    return xml_answer(200, body, call.request_id)


def error_answer(
    error: AwsError, protocol: Protocol, service: str, request_id: str
) -> Answer:
    """A refusal in the shape the service's SDK parser reads.

    SDKs look for ``Error`` directly below the query protocol's root; any other
    nesting leaves them without a code.
    """
    if protocol == "json":
        body = json.dumps({"__type": error.json_code, "Message": error.message})
        status = error.status if error.status >= 500 else 400
        return json_answer(status, body, request_id)
    kind = "Receiver" if error.status >= 500 else "Sender"
    details = {"Type": kind, "Code": error.code, "Message": error.message}
    inner = to_xml({"Error": details, "RequestId": request_id})
    body = f'<ErrorResponse xmlns="{_namespace(service)}">{inner}</ErrorResponse>'
    return xml_answer(error.status, body, request_id)


def xml_answer(status: int, body: str, request_id: str) -> Answer:
    headers = {"x-amzn-requestid": request_id}
    return Answer(status, body.encode(), "text/xml", headers)


def json_answer(status: int, body: str, request_id: str) -> Answer:
    headers = {"x-amzn-requestid": request_id}
    return Answer(status, body.encode(), "application/x-amz-json-1.1", headers)
