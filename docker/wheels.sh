#!/bin/sh
# Put every wheel of requirements.lock into a folder; each file is checked against its hash in the lock.
#
#   wheels.sh LOCK FOLDER [auto|source]
#
# PyPI has wheels of NEST for x86-64 only. Elsewhere, and with "source", NEST is compiled from its sdist: without MPI, as
# every rank holds a network of its own, and without GSL, libtool and OpenMP, so that it needs no library of the image.
set -eu
lock=$1 folder=$2 nest=${3:-auto}

only_source=
if [ "$nest" = source ] || [ "$(uname -m)" != x86_64 ]; then
    only_source=--no-binary=nest-simulator
    apt-get update -qq
    apt-get install -qq --no-install-recommends cmake g++ libboost-dev ninja-build
    export CMAKE_ARGS="-Dwith-mpi=OFF -Dwith-gsl=OFF -Dwith-ltdl=OFF -Dwith-openmp=OFF"
    # No fused multiply-add, which x86-64 wheels lack too: spikes stay those of the Numba twin.
    export CXXFLAGS="-ffp-contract=off"
fi
pip wheel --no-deps --no-build-isolation --require-hashes --wheel-dir "$folder" ${only_source:+"$only_source"} \
    --requirement "$lock"
