"""The one place that imports NEST and owns its process-wide kernel.

Two facts decide its shape. A NEST without MPI (the PyPI wheel) ends the process when it finds itself under ``mpirun``,
at import and at every kernel reset: so MPI must be initialised first and the launcher's variables removed for good.
A NEST with MPI would join all ranks into one simulation: it is refused. NEST's high-level calls cost ten times the
simulation of a small network, so the low-level ones of NEST 3.10 are wrapped here.
"""

from __future__ import annotations

import functools
import os
import sys
from typing import Any

import numpy as np

from snn.topology import Connections, FloatArray, IntArray

# What NEST looks for: one of the first pair, and a size above 1 in one of the second.
_RANK_VARIABLES = ("PMI_RANK", "PMIX_RANK")
_SIZE_VARIABLES = ("OMPI_COMM_WORLD_SIZE", "MPI_LOCALNRANKS")


class NestUnavailableError(RuntimeError):
    """NEST is missing, or this NEST cannot run one network per process."""


@functools.cache
def _nest() -> Any:
    """The nest module, imported at first use: quiet, one thread, safe under mpirun."""
    _hide_launcher()
    os.environ.setdefault("PYNEST_QUIET", "1")
    try:
        import nest
    except ImportError as error:
        raise NestUnavailableError(
            f"NEST cannot be imported ({error}). Install the wheel: pip install 'nest-simulator>=3.10,<3.12' "
            "(Linux x86-64 and macOS, Python 3.10 to 3.13)."
        ) from None
    if nest.num_processes > 1:
        raise NestUnavailableError(
            f"this NEST was built with MPI and joins all {nest.num_processes} ranks into one simulation; stigmergy "
            "needs one network per rank. Use a NEST without MPI: pip install nest-simulator."
        )
    nest.verbosity = nest.VerbosityLevel.ERROR
    return nest


def _hide_launcher() -> None:
    """Remove the variables that make NEST exit under mpirun, once MPI no longer needs them."""
    is_launched = any(name in os.environ for name in _RANK_VARIABLES)
    if not (is_launched and any(int(os.environ.get(name, "1")) > 1 for name in _SIZE_VARIABLES)):
        return
    mpi = sys.modules.get("mpi4py.MPI")
    if mpi is None or not mpi.Is_initialized():
        raise NestUnavailableError(
            "NEST would end this process: it runs under mpirun, but MPI is not initialised yet. Call "
            "optim.evaluators.launch, or `from mpi4py import MPI`, before the first network is built."
        )
    # For good: NEST looks again at every kernel reset.
    for name in _RANK_VARIABLES + _SIZE_VARIABLES:
        os.environ.pop(name, None)


def nest_version() -> str:
    """Version of the installed simulator, e.g. "3.10.0".

    Raises
    ------
    NestUnavailableError : NEST is missing or built with MPI.
    """
    return str(_nest().__version__)


class Kernel:
    """The process-wide simulation kernel, reset and claimed by the network that is built last.

    Parameters
    ----------
    resolution_ms : float, integration step
    rng_seed : int, 1 … 2**32 - 1

    Raises
    ------
    ValueError : a seed outside its range.
    NestUnavailableError : NEST is missing or built with MPI.
    """

    _owner: Kernel | None = None

    def __init__(self, resolution_ms: float, rng_seed: int) -> None:
        if not 1 <= rng_seed < 2**32:
            raise ValueError(f"rng_seed={rng_seed} is outside 1 … 2**32 - 1, which NEST takes.")
        self._nest = _nest()
        self._calls = self._nest.ll_api.nestkernel
        self._calls.llapi_reset_kernel()
        self._calls.llapi_set_kernel_status(
            {"resolution": resolution_ms, "rng_seed": rng_seed, "local_num_threads": 1, "print_time": False}
        )
        Kernel._owner = self

    @property
    def is_owned(self) -> bool:
        """Whether this is still the state of NEST, or another network has been built since."""
        return Kernel._owner is self

    def check_owned(self) -> None:
        """Raise RuntimeError when another network has taken the kernel over."""
        if not self.is_owned:
            raise RuntimeError(
                "this network is gone: NEST holds one network per process and another one was built since. "
                "Use one network after the other; reset() builds this one again and ends the other."
            )

    def create(self, model: str, n_nodes: int, parameters: dict[str, Any]) -> tuple[Any, int]:
        """Create nodes of one model.

        Returns
        -------
        handle : for `set_status` and `get_events`; first_id : int, NEST's number of the first node
        """
        nodes = self._calls.llapi_create(model, n_nodes)
        handle = nodes._datum
        if parameters:
            self._calls.llapi_set_nc_status(handle, [parameters])
        return handle, int(nodes[0].global_id)

    def single(self, handle: Any, index: int) -> Any:
        """Handle of one node of a collection."""
        return self._calls.llapi_take_array_index(handle, np.array([index]))._datum

    def connect(self, connections: Connections, first_id: int) -> None:
        """Static synapses between nodes numbered from `first_id`."""
        self._connect_arrays(
            connections.source + first_id, connections.target + first_id, connections.weight_pA, connections.delay_ms
        )

    def record(self, recorder_id: int, node_ids: IntArray, delay_ms: float) -> None:
        """Send the spikes of nodes to a recorder; `delay_ms` also bounds the length of NEST's time slices."""
        n = node_ids.size
        self._connect_arrays(node_ids, np.full(n, recorder_id), np.ones(n), np.full(n, delay_ms))

    def _connect_arrays(self, source: IntArray, target: IntArray, weight: FloatArray, delay: FloatArray) -> None:
        self._calls.llapi_connect_arrays(source, target, weight, delay, "static_synapse", None, None)

    def set_status(self, handle: Any, parameters: dict[str, Any]) -> None:
        """Set parameters of all nodes of a handle."""
        self._calls.llapi_set_nc_status(handle, [parameters])

    def get_events(self, recorder: Any) -> tuple[IntArray, FloatArray]:
        """Senders (NEST ids) and times (ms) of everything a recorder holds."""
        events = self._calls.llapi_get_nc_status(recorder, "events")
        # NEST returns an empty list as float.
        return events["senders"].astype(np.int64, copy=False), events["times"]

    def prepare(self) -> None:
        """Begin a stretch of `run` calls."""
        self._calls.llapi_prepare()

    def run(self, duration_ms: float) -> None:
        """Advance the simulation within a prepared stretch."""
        self._calls.llapi_run(duration_ms)

    def cleanup(self) -> None:
        """End a prepared stretch; recorders can be emptied only outside of one."""
        self._calls.llapi_cleanup()
