#!/bin/sh
# Builds the job image from what is in dist/, for every architecture that has a binary there.
# Usage: packaging/image.sh REFERENCE     e.g. registry.example.com/tools/keyturn:0.1.0
#
# BASE               a local image to use instead of the pinned base, where there is no registry
# PLATFORMS          some of the architectures only, such as linux/amd64
# SOURCE_DATE_EPOCH  the time that everything in the image has; that of the last commit when it is unset
set -eu
cd "$(dirname "$0")/.."

reference=${1:?usage: packaging/image.sh REFERENCE}
command -v buildah >/dev/null || {
    echo "buildah is missing: apt-get install --no-install-recommends buildah" >&2
    exit 1
}

platforms=${PLATFORMS:-}
if [ -z "$platforms" ]; then
    for binary in dist/linux/*/keyturn; do
        [ -x "$binary" ] || { echo "there is no binary in dist/linux/: run \`make image\`" >&2; exit 1; }
        platforms="${platforms:+$platforms,}linux/$(basename "$(dirname "$binary")")"
    done
fi

pinned=$(sed -n 's/^FROM //p' Dockerfile)
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
revision=$(git rev-parse HEAD)
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}

# Nothing in the Dockerfile is run, so the weakest isolation does, which works inside a job without privileges too.
set -- --isolation=chroot --timestamp "$epoch" --identity-label=false \
    --label "org.opencontainers.image.title=keyturn" \
    --label "org.opencontainers.image.source=https://gitlab.com/keyturn/keyturn" \
    --label "org.opencontainers.image.licenses=Apache-2.0" \
    --label "org.opencontainers.image.version=$version" \
    --label "org.opencontainers.image.revision=$revision"
if [ -n "${BASE:-}" ]; then
    set -- "$@" --pull=never --build-context "$pinned=container-image://$BASE"
fi
# A manifest list that exists would be added to.
buildah manifest rm "$reference" >/dev/null 2>&1 || true
case $platforms in
*,*) buildah build --quiet "$@" --platform "$platforms" --manifest "$reference" . ;;
*) buildah build --quiet "$@" --platform "$platforms" --tag "$reference" . ;;
esac
echo "built $reference for $platforms"
