"""The job image, and what runners do with it."""

import gzip
import json
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import containers
import pytest
import runner
from containers import ROOT, inspect, must, podman
from lab import Lab
from pipelines import TOOLS, git
from runner import Job, Ran

Tell = Callable[[str], None]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
MEGABYTE = 1_000_000
# Of the whole image, in megabytes of a million bytes. The pinned base image is not there to be measured: it has at most this
# much, and what stands in for it, Debian's build with glibc, is larger.
UNPACKED, COMPRESSED = 8 * MEGABYTE, 4 * MEGABYTE
BASE_UNPACKED, BASE_COMPRESSED = 1_500_000, 900_000
# A release is pushed with gzip's level 9, which an older podman can't be asked for. Python's zlib is the closest to it; buildah
# 1.39 wrote 3 088 482 bytes where zlib wrote 2 990 603. At the level that nobody chose it is 0.1 MB more, which is not within 4 MB
# but within 4 MiB.
OVER_ZLIB = 1.033
COMPRESSED_BY_DEFAULT = 4 * 1024 * 1024


def test_the_dockerfile_runs_nothing_and_pins_its_base() -> None:
    must(
        subprocess.run(
            [TOOLS / "bin" / "hadolint", "--failure-threshold", "info", ROOT / "Dockerfile"],
            capture_output=True,
            text=True,
        )
    )
    assert not re.search(r"^\s*(RUN|ENTRYPOINT|ADD|WORKDIR)\b", DOCKERFILE, re.MULTILINE)
    assert all(re.search(r"@sha256:[0-9a-f]{64}$", line) for line in DOCKERFILE.splitlines() if line.startswith("FROM"))


def test_the_image_has_a_numeric_user_no_entrypoint_and_is_small(
    image: str, tmp_path: Path, tell: Tell
) -> None:
    found = inspect(image)
    config = found["Config"]
    base = inspect(f"{containers.BASE}-amd64")
    added = found["Size"] - base["Size"]
    by_default, best = compressed_sizes_of_the_newest_layer(image, tmp_path)
    tell(f"podman image inspect: User {config['User']}, Entrypoint {config.get('Entrypoint')}, Cmd {config['Cmd']}")
    tell(f"size: {found['Size']} bytes, of which the stand-in for the base has {base['Size']} and ours {added}")
    tell(f"whole on the pinned base: {added + BASE_UNPACKED} bytes of {UNPACKED}")
    tell(f"compressed at level 9: ours {best} bytes, whole on the pinned base {best + BASE_COMPRESSED} of {COMPRESSED}")
    tell(f"at the default level: {by_default}, whole {by_default + BASE_COMPRESSED} of {COMPRESSED_BY_DEFAULT}")
    assert config["User"] == "65532:65532"
    assert not config.get("Entrypoint")
    assert "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt" in config["Env"]
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert added + BASE_UNPACKED <= UNPACKED
    assert best + BASE_COMPRESSED <= COMPRESSED
    assert by_default + BASE_COMPRESSED <= COMPRESSED_BY_DEFAULT


def compressed_sizes_of_the_newest_layer(image: str, where: Path) -> tuple[int, int]:
    """As a registry would hold it, at podman's default level and at the best one."""
    must(podman("push", "--quiet", "--compress", image, f"dir:{where}/pushed", timeout=300))
    manifest = json.loads((where / "pushed" / "manifest.json").read_text())
    # The layer below it is the base's.
    _, newest = manifest["layers"]
    layer = (where / "pushed" / newest["digest"].removeprefix("sha256:")).read_bytes()
    return len(layer), int(len(gzip.compress(gzip.decompress(layer), 9)) * OVER_ZLIB)


def test_the_same_input_gives_the_same_digest(image: str, tell: Tell) -> None:
    first = containers.build("localhost/keyturn-test/keyturn:first", epoch=1_700_000_000)
    # Files that are as they were, but newer.
    for path in (ROOT / "dist").rglob("*"):
        path.touch()
    time.sleep(1.1)
    second = containers.build("localhost/keyturn-test/keyturn:second", epoch=1_700_000_000)
    tell(f"two builds: {first} and {second}")
    assert first == second


def test_the_image_is_built_for_every_architecture_that_there_is_a_binary_for(image: str, tmp_path: Path) -> None:
    checkout = tmp_path / "keyturn"
    shutil.copytree(ROOT / "packaging", checkout / "packaging")
    for name in ("Dockerfile", ".dockerignore", "Cargo.toml"):
        shutil.copy(ROOT / name, checkout / name)
    for architecture in ("amd64", "arm64"):
        binary = checkout / "dist" / "linux" / architecture / "keyturn"
        binary.parent.mkdir(parents=True)
        # Nothing is run while an image is built, so that any file will do.
        binary.write_text(f"binary for {architecture}")
        binary.chmod(0o755)
    (checkout / "dist" / "ca-certificates.crt").write_text("certificates")
    for command in (["init", "--quiet"], ["add", "packaging"], ["commit", "--quiet", "--message", "One"]):
        git(checkout, *command)

    containers.build_in(checkout, "localhost/keyturn-test/both:test")
    listed = must(podman("manifest", "inspect", "localhost/keyturn-test/both:test"))
    manifests = json.loads(listed)["manifests"]
    assert {one["platform"]["architecture"] for one in manifests} == {"amd64", "arm64"}
    for one in manifests:
        reference = f"localhost/keyturn-test/both@{one['digest']}"
        with mounted(reference) as root:
            text = (root / "usr/local/bin/keyturn").read_text()
        assert text == f"binary for {one['platform']['architecture']}"


def elf(architecture: str, path: Path) -> str:
    """What the build says of a binary, or nothing when it takes it."""
    program = ROOT / "packaging" / "elf.py"
    ended = subprocess.run([sys.executable, program, architecture, path], capture_output=True, text=True, timeout=60)
    return "" if ended.returncode == 0 else ended.stderr


def test_each_binary_is_static_and_for_the_architecture_that_it_is_in_the_image_for(tell: Tell) -> None:
    binaries = {path.parent.name: path for path in (ROOT / "dist" / "linux").glob("*/keyturn")}
    assert "amd64" in binaries
    for architecture, path in binaries.items():
        machine = path.read_bytes()[18:20]
        tell(f"{architecture}: ELF machine {int.from_bytes(machine, 'little')}, {path.stat().st_size} bytes")
        assert machine == {"amd64": b"\x3e\x00", "arm64": b"\xb7\x00"}[architecture]
        assert elf(architecture, path) == ""


def test_a_binary_that_would_not_start_is_no_image(tmp_path: Path) -> None:
    static = ROOT / "dist" / "linux" / "amd64" / "keyturn"
    assert "is for machine 62" in elf("arm64", static)
    assert "asks for a loader" in elf("amd64", Path(sys.executable).resolve())
    half = tmp_path / "half"
    half.write_bytes(static.read_bytes()[:100])
    assert "has no program headers" in elf("amd64", half)
    half.write_bytes(b"#!/bin/sh\n")
    assert "is no 64-bit" in elf("amd64", half)


@contextmanager
def mounted(image: str) -> Iterator[Path]:
    """The files of an image."""
    where = must(podman("image", "mount", image)).strip().splitlines()[-1]
    try:
        yield Path(where)
    finally:
        podman("image", "unmount", image)


def test_without_a_network_or_any_right_the_program_starts(image: str) -> None:
    confined = ("--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
    started = podman("run", "--rm", *confined, image, "keyturn", "--version")
    assert must(started).startswith("keyturn ")


@pytest.mark.parametrize("arguments", [["sh", "-c", "true"], ["rotate", "--dry-run"], ["rotaet"], []])
def test_arguments_that_it_does_not_know_are_an_error(arguments: list[str], image: str) -> None:
    ended = podman("run", "--rm", "--network=none", image, "keyturn", *arguments)
    assert ended.returncode == 2, ended.stdout + ended.stderr


EVERY_STAGE = [
    "keyturn --version",
    "keyturn rotate --report keyturn.json --junit keyturn-junit.xml || test $? = 2",
    "ls keyturn.json keyturn-junit.xml",
    'test -n "$HOME" && touch "$HOME/written"',
    "test \"$MESSAGE\" = \"it's\na \\\"test\\\" é\"",
    "grep -c BEGIN $SSL_CERT_FILE",
    'test "$(cat "$CERTIFICATE")" = "$MESSAGE"',
]
CONFINED = (
    "--read-only",
    "--tmpfs=/tmp:mode=1777",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
)


@pytest.mark.parametrize("user", ["0", None, "1234:0"], ids=["root", "the image's user", "an arbitrary user"])
@pytest.mark.parametrize("executor", [runner.docker, runner.kubernetes], ids=["docker", "kubernetes"])
def test_a_runner_runs_a_job_in_it(
    executor: Callable[[str, Job], Ran], user: str | None, image: str, tell: Tell
) -> None:
    message = "it's\na \"test\" é"
    variables = {"MESSAGE": message, **({"HOME": "/tmp"} if user else {})}
    # A variable of type file, which each user has to be able to write.
    files = {"CERTIFICATE": message}
    ran = executor(image, Job(EVERY_STAGE, variables=variables, files=files, user=user, options=CONFINED))
    tell(f"exit {ran.code}; {ran.log.splitlines()[1]}")
    assert ran.code == 0, ran.log
    assert "keyturn-junit.xml" in ran.log


@pytest.mark.parametrize("executor", [runner.docker, runner.kubernetes], ids=["docker", "kubernetes"])
def test_a_script_that_fails_fails_the_job(executor: Callable[[str, Job], Ran], image: str) -> None:
    ran = executor(image, Job(["keyturn rotate --grace 1h", "echo not reached"]))
    assert ran.code != 0
    assert "\nnot reached" not in ran.log


def derived(image: str, name: str, *lines: str) -> str:
    """An image made of ours."""
    reference = f"localhost/keyturn-test/{name}:test"
    made = subprocess.run(
        ["buildah", "build", "--quiet", "--isolation=chroot", "--pull=never", "--tag", reference, "-f", "-", "."],
        input="\n".join([f"FROM {image} AS ours", *lines]),
        cwd=containers.STATE,
        env=containers.environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    must(made)
    return reference


@pytest.mark.parametrize("executor", [runner.docker, runner.kubernetes], ids=["docker", "kubernetes"])
def test_an_image_without_a_shell_fails_the_job(executor: Callable[[str, Job], Ran], image: str) -> None:
    bare = derived(image, "bare", "FROM scratch", "COPY --from=ours /usr/local/bin/keyturn /usr/local/bin/keyturn")
    ran = executor(bare, Job(["echo reached"]))
    assert ran.code != 0
    assert '"sh"' in ran.log and "\nreached" not in ran.log


def test_an_image_with_the_program_as_entrypoint_would_fail_the_job_instead_of_passing_it(image: str) -> None:
    trapped = derived(image, "trapped", 'ENTRYPOINT ["/usr/local/bin/keyturn"]')
    ran = runner.docker(trapped, Job(["echo reached"]))
    assert ran.code == 2, ran.log
    assert "\nreached" not in ran.log
    # What the component says of its image.
    freed = runner.docker(trapped, Job(["echo reached"], entrypoint=[""]))
    assert freed.code == 0, freed.log
    assert "\nreached" in freed.log


def test_a_runner_whose_helper_gives_the_job_no_room_fails_it(image: str) -> None:
    # Neither umask nor chown: the image's user can't write into the build directory, and the job doesn't pass.
    ran = runner.docker(image, Job(["echo reached"], umask=False))
    assert ran.code != 0
    assert "Permission denied" in ran.log


def test_a_job_cancelled_between_the_two_halves_of_a_pair_leaves_a_pair_that_works(
    image: str, lab: Lab, tell: Tell
) -> None:
    user = lab.deploy
    # The secret is stored at once, and its answer comes when the job has long been cancelled.
    suffix = "/variables/AWS_SECRET_ACCESS_KEY"
    stall = {"method": "PUT", "path_suffix": suffix, "effect": {"stall": {"millis": 3000}}}
    lab.gitlab_control("POST", "faults", stall)
    secret_is_written = threading.Event()

    def watch() -> None:
        while not secret_is_written.is_set():
            if any(call["key"] == "AWS_SECRET_ACCESS_KEY" and call["method"] == "PUT" for call in lab.gitlab_journal()):
                secret_is_written.set()
            time.sleep(0.1)

    threading.Thread(target=watch, daemon=True).start()
    job = Job(
        ["keyturn rotate", "echo not reached"],
        variables={**lab.pipeline_variables(user), "GITLAB_GROUP_ID": str(user.group)},
        network="host",
    )
    ran = runner.docker_cancelled(image, job, secret_is_written)
    for line in ran.log.splitlines():
        tell(line)
    assert ran.code != 0
    assert "\nnot reached" not in ran.log
    assert "asked to stop: finishing the pair in progress" in ran.log
    held = lab.job_variables(user)["AWS_ACCESS_KEY_ID"]
    assert held != user.key
    assert lab.keys(user.user) == {user.key: "Active", held: "Active"}

    again = runner.docker(image, Job(["keyturn rotate"], variables={**job.variables, **lab.pipeline_variables(user)}, network="host"))
    assert again.code == 0, again.log
    assert "waiting" in again.log
