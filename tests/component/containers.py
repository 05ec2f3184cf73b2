"""Podman with storage and settings of its own, and the images that would otherwise come from a registry."""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
STATE = ROOT / ".testbed" / "containers"

BASE = "localhost/keyturn-test/base:busybox"
"""Stands in for the official busybox image that the Dockerfile pins."""
HELPER = "localhost/keyturn-test/helper:1"
"""What gitlab-ci-local copies files with, and the runner imitation plays the runner's helper with."""

# Debian packages and what each is for.
NEEDED = {
    "podman": ("podman", "runs the image"),
    "buildah": ("buildah", "builds the image"),
    "runc": ("runc", "starts containers where cgroups are mixed"),
    "rsync": ("rsync", "copies a repository into a job"),
    "busybox": ("busybox-static", "stands in for the pinned base image"),
    "bash-static": ("bash-static", "the helper image"),
}

# A machine without CAP_SYS_RESOURCE can't raise limits, and crun refuses version 1 and 2 of cgroups side by side. A network
# of its own for each container would need iptables; the stand-ins are on the loopback interface anyway.
CONTAINERS_CONF = """\
[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]
netns = "host"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""


def missing() -> str:
    """What to install, or nothing."""
    packages = [package for program, (package, _) in NEEDED.items() if shutil.which(program) is None]
    if not packages:
        return ""
    reasons = "".join(
        f"\n  {package}: {why}" for program, (package, why) in NEEDED.items() if package in packages
    )
    return f"apt-get install --no-install-recommends {' '.join(packages)}{reasons}"


def environment() -> dict[str, str]:
    """The environment in which podman and buildah see only what belongs to these tests."""
    STATE.mkdir(parents=True, exist_ok=True)
    settings = STATE / "containers.conf"
    settings.write_text(CONTAINERS_CONF)
    storage = STATE / "storage.conf"
    storage.write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{STATE}/storage"\nrunroot = "{STATE}/run"\n'
    )
    own = {"CONTAINERS_CONF": str(settings), "CONTAINERS_STORAGE_CONF": str(storage)}
    return {**os.environ, **own}


def podman(
    *arguments: str, stdin: str | bytes | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Runs podman to its end, whatever that is."""
    given = stdin.encode() if isinstance(stdin, str) else stdin
    ended = subprocess.run(
        ["podman", *arguments], input=given, capture_output=True, timeout=timeout, env=environment()
    )
    return subprocess.CompletedProcess(
        ended.args,
        ended.returncode,
        ended.stdout.decode(errors="replace"),
        ended.stderr.decode(errors="replace"),
    )


def must(ended: subprocess.CompletedProcess[str]) -> str:
    """The output of something that has to work."""
    if ended.returncode != 0:
        raise RuntimeError(f"{ended.args} ended with {ended.returncode}: {ended.stdout}{ended.stderr}")
    return ended.stdout


def inspect(image: str) -> dict[str, Any]:
    """What podman knows of an image."""
    found: list[dict[str, Any]] = json.loads(must(podman("image", "inspect", image)))
    return found[0]


def build(reference: str, *, base: str = BASE, epoch: int | None = None) -> str:
    """The image for this machine, on the stand-in for the base; answers the digest."""
    settings = {"PLATFORMS": "linux/amd64"}
    if epoch is not None:
        settings["SOURCE_DATE_EPOCH"] = str(epoch)
    build_in(ROOT, reference, base=base, **settings)
    return str(inspect(reference)["Digest"])


def build_in(checkout: Path, reference: str, *, base: str = BASE, **settings: str) -> None:
    """`packaging/image.sh` of a checkout."""
    ended = subprocess.run(
        [checkout / "packaging" / "image.sh", reference],
        env={**environment(), "BASE": base, "PLATFORMS": "", **settings},
        capture_output=True,
        text=True,
        timeout=300,
    )
    must(ended)


def import_base() -> None:
    """Every applet as a link, as the official image has them: it has no shell that finds applets by itself."""
    busybox = Path(shutil.which("busybox") or "busybox")
    applets = must(run([str(busybox), "--list"])).split()
    image = ImageTree()
    image.directories("bin", "dev", "etc", "home", "proc", "root", "sys", "usr/bin", "var")
    image.directory("tmp", 0o1777)
    image.file("bin/busybox", busybox.read_bytes(), 0o755)
    for applet in sorted(set(applets) - {"busybox"}):
        image.link(f"bin/{applet}", "bin/busybox")
    image.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n", 0o644)
    image.file("etc/group", b"root:x:0:\n", 0o644)
    # A build for another architecture wants a base of that name. Nothing of it is run, so the same files will do.
    podman("manifest", "rm", BASE)
    must(podman("manifest", "create", BASE))
    for architecture in ("amd64", "arm64"):
        image.load(f"{BASE}-{architecture}", architecture)
        must(podman("manifest", "add", BASE, f"containers-storage:{BASE}-{architecture}"))


def import_helper() -> None:
    """bash, rsync and busybox."""
    image = ImageTree()
    image.directories("bin", "etc", "root", "usr/bin")
    image.directory("tmp", 0o1777)
    busybox = Path(shutil.which("busybox") or "busybox")
    image.file("bin/busybox", busybox.read_bytes(), 0o755)
    for applet in sorted(set(must(run([str(busybox), "--list"])).split()) - {"busybox", "bash"}):
        image.link(f"bin/{applet}", "bin/busybox")
    image.file("bin/bash", Path(shutil.which("bash-static") or "bash-static").read_bytes(), 0o755)
    rsync = Path(shutil.which("rsync") or "rsync")
    image.file("usr/bin/rsync", rsync.read_bytes(), 0o755)
    for library in libraries(rsync):
        image.file(str(library).lstrip("/"), library.read_bytes(), 0o755)
    image.load(HELPER)


def libraries(program: Path) -> Iterable[Path]:
    """The shared libraries of a program, its loader among them."""
    for line in must(run(["ldd", str(program)])).splitlines():
        paths = [word for word in line.split() if word.startswith("/")]
        yield from map(Path, paths[:1])


def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """A program of this machine."""
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


class ImageTree:
    """A file system in memory, to be made an image of one layer."""

    def __init__(self) -> None:
        self._bytes = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._bytes, mode="w")
        self._made: set[str] = set()
        # Or the root of the image would not be readable for anybody but root.
        self.directory(".", 0o755)

    def directories(self, *names: str) -> None:
        for name in names:
            self.directory(name, 0o755)

    def directory(self, name: str, mode: int) -> None:
        for parent in reversed(Path(name).parents):
            if str(parent) not in self._made and str(parent) != ".":
                self.directory(str(parent), 0o755)
        if name not in self._made:
            self._made.add(name)
            self._add(name, mode, tarfile.DIRTYPE)

    def file(self, name: str, content: bytes, mode: int) -> None:
        self.directory(str(Path(name).parent), 0o755)
        self._add(name, mode, tarfile.REGTYPE, content)

    def link(self, name: str, target: str) -> None:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname, entry.mode = tarfile.LNKTYPE, target, 0o755
        self._tar.addfile(entry)

    def _add(self, name: str, mode: int, kind: bytes, content: bytes = b"") -> None:
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.size = kind, mode, len(content)
        self._tar.addfile(entry, io.BytesIO(content))

    def load(self, reference: str, architecture: str = "amd64") -> None:
        """Makes it an image of this name."""
        self._tar.close()
        layer = self._bytes.getvalue()
        must(podman("import", "--quiet", "--arch", architecture, "-", reference, stdin=layer))


if __name__ == "__main__":
    if missing():
        sys.exit(f"programs that these tests need are not installed:\n{missing()}")
