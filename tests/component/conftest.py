"""What the tests share: the image, the stand-ins, the component's repository."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import containers
import pipelines
import pytest
from lab import Lab

IMAGE = "localhost/keyturn-test/keyturn:test"


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Prints to whoever watches the tests, also of those that pass."""
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    capture = request.config.pluginmanager.get_plugin("capturemanager")
    assert reporter is not None and capture is not None

    def line(text: str) -> None:
        # What a test that passes writes while it is captured is never seen.
        with capture.global_and_fixture_disabled():
            reporter.ensure_newline()
            reporter.write_line(f"    {text}")

    return line


@pytest.fixture(scope="session")
def containers_ready() -> Iterator[None]:
    """podman and what stands in for images of a registry."""
    install = containers.missing()
    if install:
        pytest.exit(f"these tests need programs that are not installed:\n{install}", returncode=1)
    containers.import_base()
    containers.import_helper()
    yield
    # What the new images took the names of.
    containers.podman("image", "prune", "--force")


@pytest.fixture(scope="session")
def image(containers_ready: None) -> str:
    """The job image, of the binary in dist/."""
    containers.build(IMAGE)
    return IMAGE


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Fresh stand-ins."""
    running = Lab()
    yield running
    running.close()


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> pipelines.Published:
    """The component's repository."""
    return pipelines.publish(tmp_path_factory.mktemp("published") / "keyturn")


@pytest.fixture
def consumer(
    tmp_path: Path, published: pipelines.Published
) -> Iterator[Callable[..., pipelines.Consumer]]:
    """Makes a project with a configuration."""

    def make(*includes: object, **more: object) -> pipelines.Consumer:
        where = tmp_path / f"project-{len(list(tmp_path.iterdir()))}"
        return pipelines.Consumer(where, published, {**more, "include": list(includes)})

    yield make
    if shutil.which("podman"):
        pipelines.clean_up()
