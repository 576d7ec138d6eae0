"""The one place that imports NEST and owns its process-wide kernel.

Two facts decide its shape. A NEST without MPI (the PyPI wheel) ends the process when it finds itself under ``mpirun``,
at import and at every kernel reset: so MPI must be initialised first and the launcher's variables removed for good.
A NEST with MPI would join all ranks into one simulation: it is refused. NEST's public calls cost ten times the
simulation of a small network, so the low-level ones of NEST 3.10 are used where they are; other versions get the public
ones.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from snn.spike_trains import FloatArray, IntArray
from snn.topology import Connections

# What NEST looks for: one of the first pair, and a size above 1 in one of the second.
_RANK_VARIABLES = ("PMI_RANK", "PMIX_RANK")
_SIZE_VARIABLES = ("OMPI_COMM_WORLD_SIZE", "MPI_LOCALNRANKS")


class NestUnavailableError(RuntimeError):
    """NEST is missing, or this NEST cannot run one network per process."""


class NestError(RuntimeError):
    """NEST refused something; the message says what."""


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
            "optim.mpi.launch, or `from mpi4py import MPI`, before the first network is built."
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


class _Calls(Protocol):
    """What a kernel needs of NEST; a handle stands for nodes of one model."""

    def reset(self, settings: dict[str, Any]) -> None: ...
    def create(self, model: str, n_nodes: int) -> tuple[Any, int]: ...
    def single(self, handle: Any, index: int) -> Any: ...
    def connect(self, source: IntArray, target: IntArray, weight: FloatArray, delay: FloatArray) -> None: ...
    def set_status(self, handle: Any, parameters: Sequence[Mapping[str, Any]]) -> None: ...
    def get_events(self, handle: Any) -> dict[str, Any]: ...
    def prepare(self) -> None: ...
    def run(self, duration_ms: float) -> None: ...
    def cleanup(self) -> None: ...


class LowLevelCalls:
    """The calls below PyNEST's own, as NEST 3.10 has them: ten times faster on small networks, but not public."""

    def __init__(self, nest: Any) -> None:
        self._calls = nest.ll_api.nestkernel
        self.set_status = self._calls.llapi_set_nc_status
        self.prepare, self.run, self.cleanup = (
            self._calls.llapi_prepare,
            self._calls.llapi_run,
            self._calls.llapi_cleanup,
        )

    def reset(self, settings: dict[str, Any]) -> None:
        self._calls.llapi_reset_kernel()
        self._calls.llapi_set_kernel_status(settings)

    def create(self, model: str, n_nodes: int) -> tuple[Any, int]:
        nodes = self._calls.llapi_create(model, n_nodes)
        return nodes._datum, int(nodes[0].global_id)

    def single(self, handle: Any, index: int) -> Any:
        return self._calls.llapi_take_array_index(handle, np.array([index]))._datum

    def connect(self, source: IntArray, target: IntArray, weight: FloatArray, delay: FloatArray) -> None:
        self._calls.llapi_connect_arrays(source, target, weight, delay, "static_synapse", None, None)

    def get_events(self, handle: Any) -> dict[str, Any]:
        return self._calls.llapi_get_nc_status(handle, "events")


class PublicCalls:
    """The documented calls of PyNEST, for versions whose low-level ones are not known."""

    def __init__(self, nest: Any) -> None:
        self._nest = nest
        self.prepare, self.run, self.cleanup = nest.Prepare, nest.Run, nest.Cleanup

    def reset(self, settings: dict[str, Any]) -> None:
        self._nest.ResetKernel()
        self._nest.set(**settings)

    def create(self, model: str, n_nodes: int) -> tuple[Any, int]:
        nodes = self._nest.Create(model, n_nodes)
        return nodes, int(nodes[0].global_id)

    def single(self, handle: Any, index: int) -> Any:
        return handle[index]

    def connect(self, source: IntArray, target: IntArray, weight: FloatArray, delay: FloatArray) -> None:
        synapses = {"synapse_model": "static_synapse", "weight": weight, "delay": delay}
        self._nest.Connect(source, target, {"rule": "one_to_one"}, synapses)

    def set_status(self, handle: Any, parameters: Sequence[Mapping[str, Any]]) -> None:
        handle.set(parameters if len(parameters) > 1 else parameters[0])

    def get_events(self, handle: Any) -> dict[str, Any]:
        return handle.events


def _make_calls(nest: Any) -> _Calls:
    """The fastest calls this NEST is known to have; ``STIGMERGY_NEST_CALLS=public`` asks for the documented ones."""
    is_known = nest.__version__.startswith("3.10.") and os.environ.get("STIGMERGY_NEST_CALLS") != "public"
    return LowLevelCalls(nest) if is_known else PublicCalls(nest)


class Kernel:
    """The process-wide simulation kernel, reset and claimed by the network that is built last.

    Parameters
    ----------
    resolution_ms : float, integration step
    rng_seed : int, 1 … 2**32 - 1

    Raises
    ------
    NestUnavailableError : NEST is missing or built with MPI.
    """

    _owner: Kernel | None = None

    def __init__(self, resolution_ms: float, rng_seed: int) -> None:
        self._nest = _nest()
        self._calls = _make_calls(self._nest)
        Kernel._owner = None  # whatever happens now, the network before is gone
        settings = {"resolution": resolution_ms, "rng_seed": rng_seed, "local_num_threads": 1, "print_time": False}
        with self.naming(f"a kernel with resolution {resolution_ms} ms and seed {rng_seed}"):
            self._calls.reset(settings)
        self.single, self.set_status = self._calls.single, self._calls.set_status
        self.get_events, self.prepare = self._calls.get_events, self._calls.prepare
        self.run, self.cleanup = self._calls.run, self._calls.cleanup
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

    @contextmanager
    def naming(self, what: str | Callable[[], str]) -> Iterator[None]:
        """Turn an error of NEST into a `NestError` that says what it was about; a function is asked when it happens."""
        try:
            yield
        except self._nest.NESTErrors.KernelException as error:
            about = what if isinstance(what, str) else what()
            raise NestError(f"NEST refused {about}: {error or type(error).__name__}") from error

    def create(self, model: str, n_nodes: int, parameters: Mapping[str, Any]) -> tuple[Any, int]:
        """Create nodes of one model.

        Returns
        -------
        handle : for `single`, `set_status` and `get_events`; first_id : int, NEST's number of the first node
        """
        handle, first_id = self._calls.create(model, n_nodes)
        if parameters:
            self._calls.set_status(handle, [parameters])
        return handle, first_id

    def connect(self, connections: Connections) -> None:
        """Static synapses between NEST's node numbers."""
        self._calls.connect(*connections)
