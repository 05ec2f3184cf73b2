"""What the usual Lambda needs of the disk, as JSON: its packages, and the interpreter.

Of the interpreter's library only what an image for running programs keeps: no tests, no static library to link against,
no development environment, and no compiled modules beside the sources.
"""

import json
import os
import platform
import re
import sys
import sysconfig
from importlib import metadata
from pathlib import Path


def size(files):
    return sum(file.lstat().st_size for file in files if file.is_file())


def requirements():
    """The packages of requirements.txt: those of the runtime come with Lambda."""
    lines = (Path(__file__).parent / "requirements.txt").read_text().splitlines()
    pinned = (re.match(r"([\w.-]+)==", line) for line in lines)
    return [match[1] for match in pinned if match]


LEFT_OUT = re.compile(
    r"site-packages|tests?|config-.*|__pycache__|ensurepip|idlelib|lib2to3|tkinter|turtledemo"
)


def library():
    root = Path(sysconfig.get_path("stdlib"))
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not LEFT_OUT.fullmatch(name)]
        yield from (Path(folder) / name for name in files)


def interpreter():
    yield Path(sys.executable).resolve()
    yield from library()
    shared = sysconfig.get_config_var("LDLIBRARY") or ""
    if shared.endswith(".so"):
        yield Path(sysconfig.get_config_var("LIBDIR"), shared).resolve()


packages = requirements()
print(
    json.dumps(
        {
            "versions": [f"Python {platform.python_version()}"]
            + [f"{name} {metadata.version(name)}" for name in ("boto3", "requests", "awslambdaric")],
            "packages": sum(
                size(file.locate() for file in metadata.distribution(name).files or [])
                for name in packages
            ),
            "interpreter": size(interpreter()),
        }
    )
)
