"""The examples in the documentation are what users paste: each is included here as it stands."""

import json
from pathlib import Path
from typing import Any

import lint
import pytest
import yaml
from containers import ROOT
from pipelines import TAG, Consumer, Published

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])
EXAMPLES = [
    pytest.param(text, id=f"{page.relative_to(ROOT)}:{line}")
    for page in PAGES
    for line, text in lint.blocks(page, "yaml")
]
INCLUDES = [example for example in EXAMPLES if "component:" in str(example.values[0])]


def test_there_are_examples_to_look_at() -> None:
    assert len(INCLUDES) >= 5
    pages = {str(example.id).partition(":")[0] for example in EXAMPLES}
    assert pages >= {"README.md", "docs/gitlab.md"}


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_is_yaml_that_gitlab_would_take(text: str) -> None:
    configuration = yaml.safe_load(text)
    assert isinstance(configuration, dict)
    assert lint.consumer(configuration) == []


@pytest.mark.parametrize("text", INCLUDES)
def test_an_example_becomes_a_pipeline_with_the_jobs_it_is_for(
    text: str, tmp_path: Path, published: Published
) -> None:
    # As it stands, but for the version and the place, which are those of the repository that is there.
    released = lint.declared_inputs()["rotate"]["image"]["default"].rpartition(":")[2]
    assert f"@{released}" in text
    pasted = text.replace(f"@{released}", f"@{TAG}").replace("/mirrors/keyturn/keyturn/", "/keyturn/keyturn/")
    project = Consumer(tmp_path / "project", published, pasted)
    scheduled = project.jobs("schedule", CI_PIPELINE_SCHEDULE_DESCRIPTION="rotate keys")
    names = expected(yaml.safe_load(text))
    assert names <= set(scheduled), scheduled
    for name in names:
        assert scheduled[name]["when"] in ("on_success", "delayed")
    assert scheduled.get("build", {"when": "never"})["when"] == "never"


def expected(configuration: dict[str, Any]) -> set[str]:
    """The jobs of every included rotation."""
    names = set()
    for entry in configuration["include"]:
        if "/rotate@" in entry["component"]:
            name = entry["inputs"].get("as", "rotate-access-key")
            names |= {name, f"{name}:retire"}
    assert names
    return names


def test_the_trust_policy_in_the_text_is_the_file_that_the_tests_attach() -> None:
    (shown,) = [json.loads(text) for _, text in lint.blocks(ROOT / "docs" / "gitlab.md", "json")]
    assert shown == json.loads((ROOT / "docs" / "policies" / "gitlab-trust.json").read_text())


def test_an_example_with_a_misspelt_input_would_be_found() -> None:
    text = next(text for _, text in lint.blocks(ROOT / "docs" / "gitlab.md", "yaml"))
    assert lint.consumer(yaml.safe_load(text.replace("group:", "gruop:", 1))) != []
