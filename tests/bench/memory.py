"""Memory of a process with each engine, and of a colony; every engine has a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from timing import row, text, title

_N_KEPT, _N_REBUILT = 50, 300


def resident_mb() -> float:
    """Memory of this process that is in RAM (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure_process(engine: str) -> dict[str, float]:
    """Resident MB after each step of a worker; runs in a fresh process."""
    import numpy as np

    import experiments  # noqa: F401  (before numba)

    steps = {"numpy": resident_mb()}
    from colony import N_ANTS, load_genomes, run_one

    from envs.foraging import AntForagingEnv
    from experiments.config import AntsConfig
    from snn import AntBrainConfig, AntColonyBrain, decode
    from snn.flush import flushing_to_zero
    from snn.nest_kernel import nest_version

    with flushing_to_zero():  # loads LLVM
        pass
    steps["packages"] = resident_mb()
    if engine == "nest":
        nest_version()
        steps["nest"] = resident_mb()
    config = AntsConfig(brain=AntBrainConfig(engine=engine))
    genome = load_genomes()[0][0]
    arguments = (*decode(genome, config.brain), N_ANTS, config.brain)
    obs = np.zeros((N_ANTS, config.brain.n_inputs), dtype=np.int8)
    colony = AntColonyBrain(*arguments)
    colony.act(obs)
    steps["first"] = resident_mb()
    kept = [colony]
    for _ in range(_N_KEPT if engine == "numba" else _N_REBUILT):
        colony = AntColonyBrain(*arguments)
        colony.act(obs)
        if engine == "numba":
            kept.append(colony)
    steps["more"] = resident_mb()
    del kept, colony
    run_one(genome, config, AntForagingEnv(), is_compiled=engine == "numba")
    steps["episode"] = resident_mb()
    if engine == "numba":
        parts = AntColonyBrain(*arguments).compiled.parts
        steps["arrays"] = sum(array.nbytes for array in (*parts.synapses, *parts.states)) / 1e6
    return steps


def bench_memory() -> None:
    """Both engines, one process each."""
    if not Path("/proc/self/statm").exists():
        text("memory is read from /proc, which this system lacks: left out")
        return
    title("Memory of a process, resident; kernels come from the compiler's cache")
    _ask("numba")  # fills the cache: memory of the compiler would hide that of colonies
    nest, numba = _ask("nest"), _ask("numba")
    row("Python and numpy", nest["numpy"], "MB")
    row("+ this library with its world, numba and LLVM", numba["packages"], "MB")
    row("+ NEST imported", nest["nest"], "MB", "engine nest")
    row("+ first colony, one tick", nest["first"], "MB", "engine nest")
    row("+ an episode: a worker of a study", nest["episode"], "MB", "engine nest")
    row("+ first colony, one tick", numba["first"], "MB", "engine numba")
    row("+ an episode: a worker of a study", numba["episode"], "MB", "engine numba")
    row("a colony on NEST, when it is built", nest["first"] - nest["nest"], "MB", "the one before makes room for it")
    growth = (nest["more"] - nest["first"]) * 1e3 / _N_REBUILT
    row(f"growth per colony over {_N_REBUILT} that are built one after the other", growth, "kB", "engine nest")
    each = (numba["more"] - numba["first"]) * 1e3 / _N_KEPT
    row(f"a colony on Numba, mean of {_N_KEPT} that are kept", each, "kB", f"{numba['arrays'] * 1e3:.0f} kB of arrays")


def _ask(engine: str) -> dict[str, float]:
    result = subprocess.run([sys.executable, __file__, engine], capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"a process with the engine {engine} failed:\n{result.stderr[-2000:]}")
    return json.loads(result.stdout.splitlines()[-1])


if __name__ == "__main__":
    print(json.dumps(measure_process(sys.argv[1])))
