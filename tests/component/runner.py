"""Drives an image as gitlab-runner's docker and kubernetes executors do.

Written from the behaviour of runner 19: which shell it looks for, how it quotes, how a script gets into the container and how
a job is cancelled. It starts no program of the image but the shell; whatever a script needs must be in the image.
"""

import json
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from containers import HELPER, environment, must, podman

PROJECT = "/builds/platform/rotation"
TEMPORARY = f"{PROJECT}.tmp"
SHELLS = (
    "/usr/local/bin/bash",
    "/usr/bin/bash",
    "/bin/bash",
    "/usr/local/bin/sh",
    "/usr/bin/sh",
    "/bin/sh",
    "/busybox/sh",
)
LITERAL = frozenset(b",-./0123456789@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")
ESCAPES = {7: r"\a", 8: r"\b", 9: r"\t", 10: r"\n", 11: r"\v", 12: r"\f", 13: r"\r", 39: r"\'", 92: r"\\"}


def detect(arguments: str = "") -> str:
    """The script that replaces itself with the first shell that there is."""
    branches = [f"if [ -x {shell} ]; then\n\texec {shell} {arguments}\n" for shell in SHELLS]
    return "el".join(branches) + "else\n\techo shell not found\n\texit 1\nfi\n\n"


def quoted(text: str) -> str:
    """ANSI-C quoting, `$'…'`, which not every shell knows."""
    if not text:
        return "''"
    letters = text.encode()
    if all(letter in LITERAL for letter in letters):
        return text
    return "$'" + "".join(map(_escape, letters)) + "'"


def _escape(letter: int) -> str:
    if letter in ESCAPES:
        return ESCAPES[letter]
    return chr(letter) if 32 <= letter < 127 else f"\\x{letter:02x}"


@dataclass
class Job:
    """A job's script, and how the runner is configured."""

    script: Sequence[str]
    variables: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    """Variables of type file: the script writes each, and hands on its path."""
    user: str | None = None
    options: tuple[str, ...] = ()
    """More options for the container, such as `--read-only`."""
    network: str = "none"
    entrypoint: Sequence[str] | None = None
    """`image:entrypoint` of the job, where the executor heeds the image's."""
    umask: bool = True
    """The helper makes the build directory writable for everybody."""


@dataclass
class Ran:
    """How a job ended."""

    code: int
    log: str


def job_script(job: Job) -> str:
    """What the runner makes of the lines of `script:`."""
    lines = _exports(job.variables) + "".join(_file(*one) for one in job.files.items()) + f"cd {PROJECT}\n"
    for line in job.script:
        lines += f"echo {quoted(f'$ {line}')}\n{line}\n"
    return lines


def _exports(variables: dict[str, str]) -> str:
    text = "".join(f"export {quoted(name)}={quoted(value)}\n" for name, value in variables.items())
    dotenv = f"{TEMPORARY}/gitlab_runner_env"
    return text + (
        f'export GITLAB_ENV={dotenv}\nmkdir -p "{TEMPORARY}"\ntouch "{dotenv}"\n'
        f'while read -r line; do export "$line"; done < "{dotenv}"\n'
    )


def _file(name: str, content: str) -> str:
    path = f"{TEMPORARY}/{name}"
    return f'mkdir -p "{TEMPORARY}"\nprintf \'%s\' {quoted(content)} > "{path}"\nexport {quoted(name)}="{path}"\n'


def wrapped(body: str, *, kubernetes: bool = False) -> str:
    """The script as it is sent: errexit, pipefail where the shell has it, a trap for cancellation."""
    text = "#!/usr/bin/env bash\n\ntrap 'exit 1' TERM\n\n"
    if kubernetes:
        text += (
            "runner_script_trap() {\n\texit_code=$?\n"
            '\techo "{\\"command_exit_code\\": $exit_code, \\"script\\": \\"$0\\"}"\n'
            "\texit 0\n}\n\ntrap runner_script_trap EXIT\n"
        )
    return text + (
        'case "$(set -o)" in *"pipefail"*) set -o pipefail;; esac; set -o errexit\nset +o noclobber\n'
        f"(trap 'exit 1' TERM; eval {quoted(body)}) < /dev/null\nexit 0\n"
    )


@contextmanager
def build_directory(job: Job) -> Iterator[str]:
    """The volume that the helper has prepared."""
    volume = f"builds-{uuid.uuid4().hex[:8]}"
    must(podman("volume", "create", volume))
    try:
        umask = "umask 0000\n" if job.umask else ""
        prepare = umask + _exports({}) + f"mkdir -p {PROJECT}\n"
        arguments = ["--rm", "-i", "--network=none", "--user=0", "-v", f"{volume}:/builds"]
        must(podman("run", *arguments, HELPER, "sh", stdin=prepare))
        yield volume
    finally:
        podman("volume", "rm", "--force", volume)


@contextmanager
def container(image: str, job: Job, arguments: Sequence[str], command: Sequence[str]) -> Iterator[str]:
    """A container that is created and not started; gone at the end, whatever happened."""
    user = [f"--user={job.user}"] if job.user else []
    network = f"--network={job.network}"
    made = must(podman("create", "-i", network, *user, *job.options, *arguments, image, *command))
    identity = made.strip().splitlines()[-1]
    try:
        yield identity
    finally:
        podman("rm", "--force", "--time=0", identity)


def docker(image: str, job: Job) -> Ran:
    """The docker executor: the image's entrypoint stands, the script comes on stdin."""
    with (
        build_directory(job) as volume,
        container(image, job, ["-v", f"{volume}:/builds", *_entrypoint(job)], ["sh", "-c", detect()]) as identity,
    ):
        ended = podman("start", "-ai", identity, stdin=wrapped(job_script(job)))
        return Ran(ended.returncode, ended.stdout + ended.stderr)


def _entrypoint(job: Job) -> list[str]:
    # `[""]` is how a job says that there is none.
    return [] if job.entrypoint is None else ["--entrypoint", json.dumps([word for word in job.entrypoint if word])]


def docker_cancelled(image: str, job: Job, when: threading.Event) -> Ran:
    """The same, cancelled: every process but the first gets SIGTERM, the latest first, and has a while to end."""
    with (
        build_directory(job) as volume,
        container(image, job, ["-v", f"{volume}:/builds"], ["sh", "-c", detect()]) as identity,
    ):
        started = subprocess.Popen(
            ["podman", "start", "-ai", identity],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(),
        )
        assert started.stdin is not None
        started.stdin.write(wrapped(job_script(job)).encode())
        started.stdin.close()
        started.stdin = None
        if not when.wait(timeout=60):
            raise TimeoutError("the job never came to where it is to be cancelled")
        signals = (
            "for directory in $(ls -rvd /proc/[0-9]*); do\n"
            "  id=${directory#/proc/}\n"
            "  [ $id = 1 ] || [ $id = $$ ] || kill -TERM $id 2>/dev/null || continue\n"
            "  for second in 1 2 3 4 5 6; do [ $id != 1 ] && [ $id != $$ ] && [ -d $directory ] || break; sleep 1; done\n"
            "done\n"
        )
        try:
            podman("exec", "--user=0", "-i", identity, "sh", "-c", detect(), stdin=signals, timeout=10)
        except subprocess.TimeoutExpired:
            pass
        podman("stop", "--time=10", identity)
        output, _ = started.communicate(timeout=30)
        return Ran(started.returncode, output.decode(errors="replace"))


def kubernetes(image: str, job: Job) -> Ran:
    """The kubernetes executor: the entrypoint is replaced, scripts are saved through the container and run with their
    output in a file."""
    with build_directory(job) as volume, build_directory(job) as scripts:
        must(
            podman(
                *("run", "--rm", "--network=none", "--user=0", "-v", f"{scripts}:/scripts", HELPER, "sh", "-c"),
                "chmod 777 /scripts; touch /scripts/output.log; chmod 777 /scripts/output.log",
            )
        )
        mounts = ["-v", f"{volume}:/builds", "-v", f"{scripts}:/scripts"]
        entrypoint = ["--entrypoint", json.dumps(["sh", "-c", detect()])]
        with container(image, job, [*mounts, *entrypoint], []) as identity:
            return _kubernetes_job(identity, scripts, job)


def _kubernetes_job(identity: str, scripts: str, job: Job) -> Ran:
    complaints = tempfile.TemporaryFile()
    shell = subprocess.Popen(
        ["podman", "start", "-ai", identity],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=complaints,
        env=environment(),
    )
    assert shell.stdin is not None
    try:
        if not _runs(identity, shell):
            complaints.seek(0)
            return Ran(shell.returncode, complaints.read().decode(errors="replace"))
        # The detecting script passes its arguments on: the script that is to be run.
        saved = {"detect_shell_script": detect("$@"), "step_script": wrapped(job_script(job), kubernetes=True)}
        for name, text in saved.items():
            path = f"/scripts/{name}"
            body = f"echo {quoted(text)} > {path}.tmp\nchmod 777 {path}.tmp\nmv {path}.tmp {path}\n"
            must(podman("exec", "-i", identity, "sh", "-c", detect(), stdin=wrapped(body)))
        step = "/scripts/detect_shell_script /scripts/step_script 2>&1 | tee -a /scripts/output.log"
        shell.stdin.write(f"sh -c '({step}) &'\n".encode())
        shell.stdin.flush()
        for _ in range(60):
            time.sleep(0.5)
            log = podman(
                *("run", "--rm", "--network=none", "--user=0", "-v", f"{scripts}:/scripts", HELPER),
                *("cat", "/scripts/output.log"),
            ).stdout
            for line in log.splitlines():
                if line.startswith('{"command_exit_code"'):
                    return Ran(int(json.loads(line)["command_exit_code"]), log)
        return Ran(-1, log)
    finally:
        shell.kill()
        shell.wait()


def _runs(identity: str, shell: subprocess.Popen[bytes]) -> bool:
    """Waits until the container runs, or has ended before a script was given to it."""
    for _ in range(100):
        state = podman("container", "inspect", "--format", "{{.State.Status}}", identity).stdout.strip()
        if state == "running":
            return True
        if shell.poll() is not None:
            return False
        time.sleep(0.1)
    raise TimeoutError("the container did not start")
