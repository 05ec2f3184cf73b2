#!/usr/bin/env bash
# Packs the function for both architectures into archives that depend on their content alone: one file, with a fixed time and
# fixed rights. The binaries are those of a release.
# Usage: lambda/build.sh X86_64-BINARY ARM64-BINARY
set -euo pipefail
cd "$(dirname "$0")/.."
: "${2:?usage: lambda/build.sh X86_64-BINARY ARM64-BINARY}"
LIMIT=3000000
mkdir -p dist

pack() { # ARCHITECTURE in Lambda's words, BINARY
    python3 - "$2" "dist/keyturn-lambda-$1.zip" "$LIMIT" <<'PACK'
import pathlib, sys, zipfile
binary, archive, limit = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
entry = zipfile.ZipInfo("bootstrap", (1980, 1, 1, 0, 0, 0))
entry.create_system, entry.external_attr, entry.compress_type = 3, 0o100755 << 16, zipfile.ZIP_DEFLATED
with zipfile.ZipFile(archive, "w") as out:
    out.writestr(entry, binary.read_bytes(), compresslevel=9)
size = archive.stat().st_size
print(f"{archive} {size} bytes")
if size > limit:
    sys.exit(f"{archive} is larger than {limit} bytes")
PACK
}

python3 packaging/elf.py amd64 "$1"
python3 packaging/elf.py arm64 "$2"
pack x86_64 "$1"
pack arm64 "$2"
sha256sum dist/keyturn-lambda-*.zip
