"""The stand-ins of AWS and GitLab, through their own control APIs."""

import base64
import json
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from typing import Any

from containers import ROOT

TESTBED = ROOT / "target" / "ci" / "testbed"
DAY, HOUR = 24 * 3600, 3600


@dataclass(frozen=True)
class Inhabitant:
    """A user of IAM, the group whose variables hold its key, and a token of that group's owner."""

    user: str
    group: int
    group_path: str
    token: str
    key: str
    """The key that the user starts with."""


class Lab:
    """Both stand-ins, running."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [TESTBED, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        world = json.loads(self._process.stdout.readline())
        self.aws: str = world["aws"]
        self.gitlab: str = world["gitlab"]
        self.role: str = world["role"]["arn"]
        self.issuer: str = world["role"]["issuer"]
        self._gitlab_control: str = world["gitlab_control"]
        self.deploy, self.release = (Inhabitant(**known) for known in world["inhabitants"])
        # How the inhabitants came to be is no part of any test.
        self.aws_control("DELETE", "journal")

    def close(self) -> None:
        """Ends both."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=20)

    def advance(self, seconds: int) -> None:
        """Moves both clocks."""
        self.aws_control("POST", "clock", {"advance": seconds})
        self.gitlab_control("POST", "clock", {"advance": seconds})

    def keys(self, user: str) -> dict[str, str]:
        """The user's keys as IAM truly has them: status by id."""
        return {key["id"]: key["status"] for key in self.aws_control("GET", f"keys?user={user}")}

    def aws_journal(self) -> list[dict[str, Any]]:
        """Every call of AWS, in order."""
        calls: list[dict[str, Any]] = self.aws_control("GET", "journal")
        return calls

    def gitlab_journal(self) -> list[dict[str, Any]]:
        """Every call of GitLab, in order."""
        calls: list[dict[str, Any]] = self.gitlab_control("GET", "journal")
        return calls

    def job_variables(self, of: Inhabitant) -> dict[str, str]:
        """What a runner would hand to a job on a protected branch now."""
        found: dict[str, str] = self.gitlab_control("GET", f"job?group={of.group}&protected=true")
        return found

    def pipeline_variables(self, of: Inhabitant) -> dict[str, str]:
        """What the project of a pipeline has, where the stand-ins take the place of AWS and of GitLab."""
        return {
            **{name: value for name, value in self.job_variables(of).items() if name.startswith("AWS_")},
            **self.places(),
            "GITLAB_TOKEN": of.token,
        }

    def places(self) -> dict[str, str]:
        """Where both are."""
        return {
            "AWS_ENDPOINT_URL": self.aws,
            "AWS_EC2_METADATA_DISABLED": "true",
            "CI_API_V4_URL": self.gitlab,
            "KEYTURN_SETTLE": "0s",
        }

    def id_token(self) -> str:
        """An ID token such as GitLab gives to a job on the branch main of the project platform/rotation."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": self.issuer,
            "sub": "project_path:platform/rotation:ref_type:branch:ref:main",
            **{"iat": now, "nbf": now - 5, "exp": now + 1200},
        }
        # The stand-in judges the claims; it has no keys of this issuer to check a signature with.
        parts = [json.dumps({"alg": "RS256", "kid": "one"}), json.dumps(claims), "signature"]
        return ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts)

    def aws_control(self, method: str, path: str, body: object = None) -> Any:
        """A call of the AWS stand-in's control API."""
        return _call(method, f"{self.aws}/_strict/{path}", body)

    def gitlab_control(self, method: str, path: str, body: object = None) -> Any:
        """A call of the GitLab stand-in's control API."""
        return _call(method, f"{self._gitlab_control}/{path}", body)


def _call(method: str, url: str, body: object) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": "application/json"})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=30) as answer:
        return json.load(answer)
