"""Sees that a binary starts in an image that has no loader, on the architecture that it is for: `elf.py amd64|arm64 FILE`."""

import struct
import sys
from pathlib import Path

MACHINES = {"amd64": 62, "arm64": 183}
PT_INTERP = 3


def fault(architecture: str, content: bytes) -> str | None:
    """Why it would not start."""
    if content[:6] != b"\x7fELF\x02\x01" or len(content) < 64:
        return "is no 64-bit little-endian ELF file"
    (machine,) = struct.unpack_from("<H", content, 18)
    if machine != MACHINES[architecture]:
        return f"is for machine {machine}, and {architecture} is {MACHINES[architecture]}"
    (first,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    if count == 0 or len(content) < first + size * count:
        return "has no program headers"
    kinds = [struct.unpack_from("<I", content, first + size * at)[0] for at in range(count)]
    if PT_INTERP in kinds:
        return "asks for a loader, so it isn't static"
    return None


def main() -> None:
    architecture, path = sys.argv[1], Path(sys.argv[2])
    found = fault(architecture, path.read_bytes())
    if found is not None:
        sys.exit(f"{path} {found}")
    print(f"{path}: static, for {architecture}, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
