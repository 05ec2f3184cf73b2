"""One server for the whole run, emptied before each test."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError

ACCOUNT = "123456789012"
HERE = Path(__file__).resolve().parent
NO_RETRY = Config(retries={"total_max_attempts": 1, "mode": "standard"})


class Stand:
    """A running stand-in, as a test uses it."""

    def __init__(self, url: str, jwks: Path) -> None:
        self.url = url
        self.jwks = jwks
        self._control = requests.Session()
        self._boot: dict[str, Any] = {}

    def client(self, service: str, key: dict[str, str] | None = None) -> Any:
        """A boto3 client signing with ``key``, or with the root's boot key."""
        if key is None:
            if service not in self._boot:
                self._boot[service] = self._client(service, "test", "test", None)
            return self._boot[service]
        return self._client(
            service,
            key["AccessKeyId"],
            key["SecretAccessKey"],
            key.get("SessionToken"),
        )

    def _client(self, service: str, key_id: str, secret: str, token: str | None) -> Any:
        return boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=self.url,
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=NO_RETRY,
        )

    def user(self, name: str, *statements: dict[str, Any], **details: Any) -> dict:
        """Makes a user with one inline policy and returns its first key."""
        iam = self.client("iam")
        iam.create_user(UserName=name, **details)
        if statements:
            iam.put_user_policy(
                UserName=name, PolicyName="p", PolicyDocument=document(*statements)
            )
        return iam.create_access_key(UserName=name)["AccessKey"]

    def who(self, key: dict[str, str]) -> str:
        """The ARN a key speaks for."""
        return self.client("sts", key).get_caller_identity()["Arn"]

    def get(self, path: str) -> Any:
        return self._asked("GET", path, None)

    def post(self, path: str, **body: Any) -> Any:
        return self._asked("POST", path, body)

    def delete(self, path: str) -> Any:
        return self._asked("DELETE", path, None)

    def clock(self, **changes: Any) -> Any:
        return self.post("clock", **changes)

    def fault(self, action: str, mode: str, **details: Any) -> None:
        self.post("fault", action=action, mode=mode, **details)

    def journal(self) -> list[dict[str, Any]]:
        return self.get("journal")

    def keys(self, user: str) -> list[dict[str, Any]]:
        """The keys of a user as they are, by the control door."""
        return self.get(f"keys?user={user}")

    def _asked(self, method: str, path: str, body: Any) -> Any:
        response = self._control.request(
            method, f"{self.url}/_strict/{path}", json=body, timeout=10
        )
        assert response.status_code == 200, response.text
        return response.json()


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


def refusal(call: Any, **parameters: Any) -> tuple[str, int]:
    """The code and status a call is refused with."""
    with pytest.raises(ClientError) as refused:
        call(**parameters)
    response = refused.value.response
    status = response["ResponseMetadata"]["HTTPStatusCode"]
    return response["Error"]["Code"], status


def start(*options: str) -> tuple[subprocess.Popen[str], str]:
    """Starts a server and waits for the line that says where it listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "strict_aws", "--exit-on-stdin-close", *options],
        cwd=HERE.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("listening on "), line
    return process, line.split()[-1]


@pytest.fixture(scope="session")
def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    jwks = tmp_path_factory.mktemp("issuer") / "jwks.json"
    jwks.write_text('{"keys": []}')
    process, url = start("--jwks", str(jwks))
    try:
        yield Stand(url, jwks)
    finally:
        process.terminate()
        _, complaints = process.communicate(timeout=10)
    assert complaints == "", "the server had unexpected errors"


@pytest.fixture
def stand(_running: Stand) -> Stand:
    _running.post("reset")
    return _running
