"""What `stigmergy doctor` looks at in one process: libraries, folders, engines.

What is compiled is imported inside the functions: without a folder for compiled code even that fails.
"""

from __future__ import annotations

import fcntl
import importlib
import math
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.provenance import collect_provenance

OK, WARNING, FAILED = "ok", "warning", "FAILED"

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_SHARED_MEMORY = Path("/dev/shm")
_SHARED_BYTES_PER_RANK = 6e6  # MPICH 5 on one node: 330 MB for 64 ranks
_MPI_SECONDS = 30.0  # for MPI to start in a process of its own
_PRINT_MPI = "from mpi4py import MPI; print(MPI.Get_library_version())"
_RESOLUTION_MS = 0.1


class Finding(NamedTuple):
    """Outcome of one check."""

    state: str  # OK, WARNING or FAILED
    text: str  # what was found; unless OK, with the way out


Check = Callable[[], Finding]


def check_versions() -> Finding:
    """Python and the packages whose versions a run records."""
    facts = collect_provenance(seed=0, n_ranks=1, mpi_library="", commit="")
    versions = {"python": facts["python"], **facts["versions"]}
    return Finding(OK, ", ".join(f"{name} {version}" for name, version in versions.items()))


def check_mpi() -> Finding:
    """Which MPI library mpi4py selects, and whether it starts."""
    from optim.mpi import mpi_library

    library = mpi_library()
    if not library:  # one process, without MPI: tried in another one, which a broken library may take down
        command = [sys.executable, "-c", _PRINT_MPI]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_MPI_SECONDS, check=False)
        if "No module named 'mpi4py'" in done.stderr:
            return Finding(WARNING, "mpi4py is missing: one process only. For more: pip install -e '.[mpi]'")
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            return Finding(
                FAILED,
                f"no MPI library can be used ({reason}). Install one: pip install mpich, or name one in "
                f"MPI4PY_LIBMPI, which is {os.environ.get('MPI4PY_LIBMPI', 'not set')}.",
            )
        library = done.stdout.splitlines()[0]
    return Finding(OK, library.split(",")[0] + _setting("MPI4PY_LIBMPI"))  # Open MPI goes on with its build


def check_shared_memory(n_ranks: int) -> Finding:
    """Whether `n_ranks`, or one per core, can exchange messages through the shared memory of this node."""
    if not _SHARED_MEMORY.is_dir():
        return Finding(OK, f"this system has no {_SHARED_MEMORY}")
    n_ranks = max(n_ranks, _n_cores())
    free = shutil.disk_usage(_SHARED_MEMORY).free
    text = f"{free / 1e6:.0f} MB free in {_SHARED_MEMORY}"
    if free < n_ranks * _SHARED_BYTES_PER_RANK:
        return Finding(
            WARNING,
            f"{text}: {n_ranks} ranks on this node may end with a bus error or segmentation fault. Start the container "
            "with --shm-size=1g, or remove what dead jobs have left there.",
        )
    return Finding(OK, text)


def check_cache() -> Finding:
    """Whether compiled kernels can be kept."""
    try:
        for package in ("snn", "envs.foraging", "optim"):  # they choose NUMBA_CACHE_DIR unless it is set
            importlib.import_module(package)
    except RuntimeError as error:
        if "cannot cache" not in str(error):
            raise
        return Finding(
            FAILED,
            "Numba finds no folder to keep compiled code in. Set NUMBA_CACHE_DIR to one that can be written to; "
            "a container with a read-only root needs --tmpfs /tmp.",
        )
    named = os.environ.get("NUMBA_CACHE_DIR")
    if named is None:
        return Finding(OK, "chosen by Numba")
    reason = _why_not_writable(Path(named))
    if reason:
        return Finding(WARNING, f"{reason}: compiled code is kept elsewhere. Set NUMBA_CACHE_DIR.")
    return Finding(OK, named)


def check_run_folder(runs: Path) -> Finding:
    """Whether new run folders can be made in `runs`."""
    reason = _why_not_writable(runs)
    if reason:
        return Finding(WARNING, f"{reason}: no study can be started here. Choose another folder with --runs DIR.")
    return Finding(OK, f"{runs.absolute()}, {shutil.disk_usage(_existing(runs)).free / 1e9:.1f} GB free")


def check_locking(runs: Path) -> Finding:
    """Whether a second process in the same run folder would be noticed."""
    if _why_not_writable(runs):
        return Finding(WARNING, "not tested, as there is no run folder")
    way_out = "Choose a folder on another file system with --runs DIR, or have it mounted with locks (Lustre: flock)."
    with tempfile.NamedTemporaryFile(dir=_existing(runs)) as first, Path(first.name).open() as second:
        try:
            fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return Finding(FAILED, f"files in {_existing(runs)} cannot be locked ({error.strerror}). {way_out}")
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return Finding(OK, "a second process is kept out")
    return Finding(WARNING, f"locks do not keep a second process out: never resume a running study. {way_out}")


def check_hdf5(runs: Path) -> Finding:
    """Whether a table comes back as it was written."""
    from experiments.storage import append_tables, commit, read_tables, reading

    values = np.linspace(0.0, 1.0, 1000)
    parent = None if _why_not_writable(runs) else _existing(runs)
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        path = Path(folder) / "table.h5"
        commit(path, lambda file: append_tables(file, {"table": {"values": values}}))
        with reading(path) as file:
            read = read_tables(file)["table"]["values"]
    if not np.array_equal(read, values):
        return Finding(FAILED, "a table differs from what was written: use another file system, or reinstall h5py.")
    return Finding(OK, "written and read back" + _setting("HDF5_USE_FILE_LOCKING"))


def check_nest() -> Finding:
    """Whether NEST simulates: one neuron under constant current for 10 ms, whose spike has a closed form."""
    from snn import Connections, Population, Topology, build
    from snn.nest_kernel import nest_version

    neuron = Population(name="neuron", size=1, parameters={"I_e": 1000.0})
    no_synapses = Connections(*np.empty((2, 0), dtype=np.int64), *np.empty((2, 0)))
    with build(Topology((neuron,), no_synapses), recorded=["neuron"], resolution_ms=_RESOLUTION_MS) as network:
        network.run(10.0)
        steps = network.spikes().steps.tolist()
    p = neuron.all_parameters()
    way = (p["V_th"] - p["E_L"]) * p["C_m"] / (p["I_e"] * p["tau_m"])  # to the threshold, as a share of all
    expected = [math.ceil(-p["tau_m"] * math.log(1.0 - way) / _RESOLUTION_MS)]
    if steps != expected:
        return Finding(FAILED, f"a neuron fires in steps {steps} instead of {expected}: reinstall nest-simulator.")
    if sys.modules["nest"].build_info["have_mpi"]:
        return Finding(WARNING, "this NEST is built with MPI: one process only. For more: pip install nest-simulator.")
    return Finding(OK, f"{nest_version()} without MPI, 10 ms simulated")


def check_engines() -> Finding:
    """Whether both engines give the same spikes in the first tick of a colony."""
    if spikes_digest("nest") != spikes_digest("numba"):
        return Finding(
            FAILED,
            "NEST and Numba give different spikes in one tick of a colony: use one engine only, and report the "
            "versions above and the type of the processor.",
        )
    return Finding(OK, "NEST and Numba give the same spikes in one tick of a colony")


def spikes_digest(engine: str) -> int:
    """Checksum of all spikes and actions of a small colony in one tick."""
    from snn import AntBrainConfig, AntColonyBrain, decode, random_genomes

    config = AntBrainConfig(n_hidden=5, engine=engine)
    genome = random_genomes(config, 1, np.random.default_rng(0))[0]
    with AntColonyBrain(*decode(genome, config), 5, config, has_recording=True) as brain:
        actions = brain.act(np.ones((5, config.n_inputs), dtype=np.int8))
        spikes = brain.spikes()
    return zlib.crc32(actions.tobytes() + spikes.steps.tobytes() + spikes.neurons.tobytes())


def check_threads(n_ranks: int) -> Finding:
    """Whether the libraries of `n_ranks` processes on this node would start more threads than there are cores."""
    values = {name: os.environ.get(name, "") for name in _THREAD_VARIABLES}
    own, all_cores = _n_cores(), os.cpu_count() or 1
    several = {name: int(value) for name, value in values.items() if value.isdigit() and int(value) > 1}
    too_many = [name for name, n_threads in several.items() if n_threads > own or n_threads * n_ranks > all_cores]
    settings = ", ".join(f"{name}={value or 'not set'}" for name, value in values.items())
    text = f"{own} of {all_cores} cores, {n_ranks} {'rank' if n_ranks == 1 else 'ranks'} on this node, {settings}"
    if too_many:
        return Finding(WARNING, f"{text}: more threads than cores slow everything down. export {too_many[0]}=1")
    return Finding(OK, text)


def _n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _setting(variable: str) -> str:
    """A variable of the environment in brackets, if it is set."""
    return f" ({variable}={os.environ[variable]})" if variable in os.environ else ""


def _existing(folder: Path) -> Path:
    """The folder, or the nearest of its parents that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def _why_not_writable(folder: Path) -> str:
    """Why nothing can be written to a folder, or to where it would be made; "" if it can."""
    place = _existing(folder)
    try:
        with tempfile.TemporaryFile(dir=place):
            return ""
    except OSError as error:
        return f"{place} cannot be written to ({error.strerror})"
