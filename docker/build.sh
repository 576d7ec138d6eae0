#!/bin/sh
# Build the image with docker, podman or buildah, the first that works here:
#
#   docker/build.sh TAG [arguments of the builder, e.g. --build-arg NEST=source]
#
# BUILDER names one of them.
set -eu
cd "$(dirname "$0")/.."
tag=$1
shift

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
revision=$(git describe --always --dirty --abbrev=40 2>/dev/null || echo unknown)
for builder in ${BUILDER:-docker podman buildah}; do
    if command -v "$builder" >/dev/null && "$builder" info >/dev/null 2>&1; then
        if [ "$builder" != docker ]; then
            set -- --format docker "$@" # the OCI format has no health check
        fi
        exec "$builder" build --file docker/Dockerfile --tag "$tag" --build-arg VERSION="$version" \
            --build-arg REVISION="$revision" "$@" .
    fi
done
echo "build.sh: none of ${BUILDER:-docker, podman and buildah} works here" >&2
exit 69
