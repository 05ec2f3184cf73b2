"""The pipeline of this project, as far as it can be read without a GitLab."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pipelines
import pytest
import yaml
from containers import NEEDED, ROOT, must
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
    assert jobs == {"lint", "test", "prove", "fire", "bench", "component"}


def test_a_schedule_runs_what_takes_a_night_and_nothing_else(project: Consumer) -> None:
    jobs = {name for name, job in project.jobs("schedule").items() if job["when"] != "never"}
    assert jobs == {"nightly"}
    # A pipeline that `workflow:` doesn't allow has no jobs, and says so nowhere.
    (allowed,) = [rule for rule in yaml.safe_load(TEXT)["workflow"]["rules"] if "schedule" in rule["if"]]
    assert "when" not in allowed


def test_each_suite_of_the_pipeline_is_a_target_of_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    lines = [line for job in yaml.safe_load(TEXT).values() if isinstance(job, dict) for line in job.get("script", [])]
    called = {word for line in lines for word in re.findall(r"(?<![\w=])make ([a-z -]+)", line)}
    wanted = {target for words in called for target in words.split()}
    assert wanted >= {"lint", "test", "prove", "fire", "bench", "nightly", "test-component", "test-image", "lambda"}
    assert wanted <= targets


def test_the_component_job_installs_what_its_tests_need() -> None:
    installed = yaml.safe_load(TEXT)["component"]["variables"]["PACKAGES"].split()
    assert set(installed) == {package for package, _ in NEEDED.values()}


def test_what_is_released_is_signed_and_has_a_provenance_that_is_signed(tmp_path: Path) -> None:
    jobs = yaml.safe_load(TEXT)
    build, publish = jobs["build"], jobs["publish"]
    assert build["variables"]["RUNNER_GENERATE_ARTIFACTS_METADATA"] == "true"
    assert publish["id_tokens"] == {"SIGSTORE_ID_TOKEN": {"aud": "sigstore"}}
    # Each line of the script that follows the build of the image, with programs that write down how they are called.
    dist = tmp_path / "dist"
    dist.mkdir()
    for name in ("keyturn-1-linux-amd64", "keyturn-1.cdx.json", "SHA256SUMS"):
        (dist / name).write_text(name)
    (dist / "image.digest").write_text("sha256:0123")
    statement = {"predicateType": "https://slsa.dev/provenance/v1", "predicate": {"runDetails": "as the runner says"}}
    # The name that the runner gives it, after that of the artifacts.
    (tmp_path / f"{build['artifacts']['name']}-metadata.json").write_text(json.dumps(statement))
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("cosign", "curl", "jq", "buildah"):
        program = programs / name
        # A bundle is written by what is told to write one.
        program.write_text(
            f'#!/bin/sh\necho "{name} $*" >> "{tmp_path}/calls"\n'
            + ('[ -f "$3" ] && cat "$3"\n' if name == "jq" else "")
            + 'while [ $# -gt 0 ]; do [ "$1" = --bundle ] && echo bundle > "$2"; shift; done; exit 0\n'
        )
        program.chmod(0o755)
    script = [line for line in publish["script"] if "image.sh" not in line]
    environment = {
        "PATH": f"{programs}:/usr/bin:/bin",
        **{"CI_COMMIT_TAG": "1", "CI_COMMIT_SHA": "abc", "CI_REGISTRY_IMAGE": "r/k", "CI_JOB_TOKEN": "t"},
        **{"CI_API_V4_URL": "https://gitlab.example.com/api/v4", "CI_PROJECT_ID": "7"},
    }
    run = ["sh", "-e", "-c", "\n".join(script)]
    must(subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60))
    assert json.loads((dist / "provenance.json").read_text()) == statement
    calls = (tmp_path / "calls").read_text().splitlines()
    signed = [call for call in calls if call.startswith("cosign ") and " login " not in call]
    pushed = [call for call in calls if call.startswith("buildah manifest push")]
    assert [call.rpartition(":")[2] for call in pushed] == ["1", "abc"]
    # Or the image would have more than its 4 MB.
    assert all("--compression-format gzip --compression-level 9" in call for call in pushed)
    image, sums = "r/k@sha256:0123", "dist/SHA256SUMS"
    assert [(call.split()[1], call.split()[-1]) for call in signed] == [
        ("sign", image),
        ("attest", image),
        ("attest", image),
        ("attest-blob", sums),
        ("sign-blob", sums),
    ]
    provenance = [call for call in signed if "--type slsaprovenance1" in call]
    assert [call.split()[1] for call in provenance] == ["attest", "attest-blob"]
    assert all("--predicate dist/provenance.json" in call for call in provenance)
    # Version 2 of cosign writes another format without being asked for this one.
    assert all("--new-bundle-format" in call for call in signed if "-blob" in call)
    uploaded = {call.rpartition("/")[2] for call in calls if call.startswith("curl ")}
    assert uploaded == {
        *("keyturn-1-linux-amd64", "keyturn-1.cdx.json", "SHA256SUMS"),
        *("SHA256SUMS.sigstore.json", "SHA256SUMS.provenance.sigstore.json"),
    }


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


def test_every_tool_that_cargo_installs_is_kept_up_to_date() -> None:
    pinned = set()
    for manager in json.loads((ROOT / "renovate.json").read_text())["customManagers"]:
        for pattern in manager["matchStrings"]:
            expression = re.compile(pattern.replace("(?<", "(?P<"))
            for name in ("Makefile", ".gitlab-ci.yml"):
                if any(re.search(files.strip("/"), name) for files in manager["managerFilePatterns"]):
                    found = [match.groupdict() for match in expression.finditer((ROOT / name).read_text())]
                    pinned |= {one.get("depName") or f"cargo-{one['tool'].lower()}" for one in found}
    installed = set(re.findall(r"\b(cargo-[a-z]+)@", (ROOT / "Makefile").read_text() + TEXT))
    assert installed >= {"cargo-deny", "cargo-mutants", "cargo-auditable", "cargo-cyclonedx"}
    assert installed <= pinned
