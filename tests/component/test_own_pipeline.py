"""The pipeline of this project, as far as it can be read without a GitLab."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pipelines
import pytest
import yaml
from containers import ROOT, must
from pipelines import COMPONENT, Consumer, Published

TEXT = (ROOT / ".gitlab-ci.yml").read_text()
BIN = pipelines.TOOLS / "bin"
Tell = Callable[[str], None]


@pytest.fixture
def project(tmp_path: Path, published: Published) -> Consumer:
    """A checkout of this project."""
    where = tmp_path / "keyturn"
    shutil.copytree(ROOT / "templates", where / "templates")
    return Consumer(where, published, TEXT, project=COMPONENT)


def test_every_file_of_the_pipeline_passes_its_linter(tmp_path: Path) -> None:
    schema = ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"]
    commands: tuple[list[Path | str], ...] = (
        [BIN / "yamllint", "--strict", "--config-file", ROOT / ".yamllint.yml", ROOT / ".gitlab-ci.yml"],
        [BIN / "check-jsonschema", *schema, ROOT / ".gitlab-ci.yml"],
        [BIN / "check-jsonschema", "--builtin-schema", "vendor.renovate", ROOT / "renovate.json"],
    )
    for command in commands:
        must(subprocess.run(command, capture_output=True, text=True, timeout=120))


def test_every_image_is_pinned_by_its_digest() -> None:
    images = re.findall(r"^ +image: (\S+)$", TEXT, re.MULTILINE)
    foreign = [image for image in images if not image.startswith("$CI_REGISTRY_IMAGE")]
    assert foreign
    for image in foreign:
        assert re.search(r"@sha256:[0-9a-f]{64}$", image), image


def test_a_merge_request_is_tested_and_releases_nothing(project: Consumer) -> None:
    jobs = {name for name, job in project.jobs("merge_request_event").items() if job["when"] != "never"}
    assert jobs == {"lint", "test", "bench", "component"}


def test_a_tag_is_built_published_and_released_after_the_component_was_included_from_it(
    project: Consumer, tell: Tell
) -> None:
    # A tag has no branch.
    listed = project.jobs("push", CI_COMMIT_TAG="0.1.0", CI_COMMIT_BRANCH="")
    jobs = {name: job["when"] for name, job in listed.items() if job["when"] != "never"}
    tell(f"tag: {jobs}")
    assert set(jobs) >= {"build", "publish", "check-component", "release"}
    # Nobody's key is rotated by a release.
    assert (jobs["own-component"], jobs["own-plan"]) == ("manual", "manual")
    needed = {need["job"] for need in listed["release"]["needs"]}
    assert needed == set(jobs) - {"release", "own-component", "own-plan"}


def test_the_jobs_that_are_looked_for_are_those_of_the_included_components() -> None:
    configuration = yaml.safe_load(TEXT)
    included = {entry["inputs"]["as"] for entry in configuration["include"]}
    script = "\n".join(configuration["check-component"]["script"])
    (looked_for,) = re.findall(r"for job in ([a-z -]+);", script)
    assert set(looked_for.split()) == included
    for entry in configuration["include"]:
        assert entry["component"].endswith("@$CI_COMMIT_SHA")
