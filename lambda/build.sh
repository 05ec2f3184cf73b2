#!/usr/bin/env bash
# Builds the function for both architectures and packs each into an archive that depends on its content alone: one file,
# with a fixed time and fixed rights.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${ZIG:?the Python that has ziglang}"
LIMIT=3000000
mkdir -p dist

build() { # ARCHITECTURE, target of Rust's, target of zig's
    local variable=${2//-/_}
    env ZIG_TARGET="$3" "CC_$variable=$PWD/lambda/zig-cc" "AR_$variable=ar" \
        "CARGO_TARGET_$(tr a-z A-Z <<<"$variable")_LINKER=rust-lld" \
        RUSTFLAGS="--remap-path-prefix=$PWD=/keyturn --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo" \
        cargo build --locked --release --target "$2" --bin keyturn
    python3 - "target/$2/release/keyturn" "dist/keyturn-lambda-$1.zip" "$LIMIT" <<'PACK'
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

build x86_64 x86_64-unknown-linux-musl x86_64-linux-musl
build arm64 aarch64-unknown-linux-musl aarch64-linux-musl
sha256sum dist/keyturn-lambda-*.zip
