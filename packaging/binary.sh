#!/bin/sh
# Builds the static binary of one architecture, which is the one in the image, in the archive of the Lambda function and in a
# release. It is in target/, in the directory of its musl target, also where that target can't be added.
# Usage: packaging/binary.sh amd64|arm64
#
# BUILD     what builds, such as `cargo auditable build`, which writes the list of crates into the binary
# MUSL_CC   the C compiler for amd64; the machine's own when it is unset
# ZIG       the Python that has ziglang, whose C compiler and assembler are those for arm64
set -eu
cd "$(dirname "$0")/.."

case ${1:-} in
amd64)
    target=x86_64-unknown-linux-musl
    export "CC_x86_64_unknown_linux_musl=${MUSL_CC:-cc}"
    ;;
arm64)
    target=aarch64-unknown-linux-musl
    : "${ZIG:?the Python that has ziglang}"
    export ZIG ZIG_TARGET=aarch64-linux-musl
    export "CC_aarch64_unknown_linux_musl=$PWD/packaging/zig-cc" AR_aarch64_unknown_linux_musl=ar
    ;;
*)
    echo "usage: packaging/binary.sh amd64|arm64" >&2
    exit 2
    ;;
esac

flags="'--remap-path-prefix=$PWD=/keyturn', '--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo'"
binary=target/$target/release/keyturn
rustup target add "$target" || {
    [ "$1" = amd64 ] || exit 1
    echo "$target can't be added: the binary is linked with glibc, statically" >&2
    target=x86_64-unknown-linux-gnu
    flags="$flags, '-Ctarget-feature=+crt-static'"
}

# Flags in the environment would take the place of those in .cargo/config.toml; these are added to them. Without them the
# binary has the names of the directories that it was built in.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
# Unquoted: a command of several words.
${BUILD:-cargo build} --locked --release --target "$target" --bin keyturn --config "target.$target.rustflags = [$flags]"

built=target/$target/release/keyturn
[ "$built" = "$binary" ] || install -D -m 0755 "$built" "$binary"
python3 packaging/elf.py "$1" "$binary"
