"""What the probes of `peer_faults.py` share; standard library only, since it runs in the interpreter of the peers."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import random
import signal
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

N_INDIVIDUALS, SEED = 8, 7
BAD = 3  # index of the individual that misbehaves
CANARY = Path("canary")
_LOG = Path("evaluated.txt")
_MEMORY = Path("memory.json")

Probes = Mapping[str, Sequence[Callable[[], str]] | str]  # steps by fault, or why there are none


def sphere(x: Sequence[float]) -> float:
    """The fitness of all probes; it is minimised, and every value is written down."""
    value = float(sum(float(v) ** 2 for v in x))
    with _LOG.open("a") as file:
        file.write(f"{value!r}\n")
    return value


def n_evaluated() -> int:
    """Number of calls of `sphere` in this folder, of all processes."""
    return len(_LOG.read_text().splitlines()) if _LOG.exists() else 0


def best_evaluated() -> float:
    """The lowest value that `sphere` has returned in this folder."""
    return min(map(float, _LOG.read_text().splitlines()))


def kill_worker() -> None:
    """Signal 9 to the calling process."""
    os.kill(os.getpid(), signal.SIGKILL)


def kill_program() -> None:
    """Signal 9 to the process that has started the calling one."""
    os.kill(os.getppid(), signal.SIGKILL)


def hang() -> None:
    """Never return."""
    while True:
        pass


class _Hostile:
    """Unpickling it makes a file: code of an attacker could stand there."""

    def __reduce__(self):
        return open, (str(CANARY), "w")


def hostile_pickle() -> bytes:
    """Bytes whose unpickling makes the file `CANARY`."""
    return pickle.dumps(_Hostile())


def canary_text() -> str:
    """Whether foreign code ran in this folder."""
    return "the code in it ran" if CANARY.exists() else "no code ran"


def attempt(call: Callable[[], object]) -> str:
    """'' or the error of a call, in one line."""
    try:
        call()
    except Exception as error:
        lines = str(error).splitlines() or [""]
        return f"{type(error).__name__}: {lines[0][:100]}".rstrip(": ")
    return ""


def readable_cuts(data: bytes, read: Callable[[bytes], object], n_cuts: int = 200) -> str:
    """How many of some evenly spread prefixes of `data` can be read."""
    cuts = [len(data) * i // n_cuts for i in range(n_cuts)]
    n_readable = sum(not attempt(lambda cut=cut: read(data[:cut])) for cut in cuts)
    errors = sorted({attempt(lambda cut=cut: read(data[:cut])).split(":")[0] for cut in cuts} - {""})
    return f"{n_readable} of {n_cuts} cut files of {len(data)} bytes can be read ({', '.join(errors)})"


def median_ms(generation: Callable[[], object], n: int = 30) -> float:
    """Median wall time of one generation, in ms; the first three are not counted."""
    times = []
    for _ in range(3 + n):
        start = time.perf_counter()
        generation()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times[3:])


def remember(name: str, value: object) -> None:
    """Keep a value for later probes in this folder."""
    known = json.loads(_MEMORY.read_text()) if _MEMORY.exists() else {}
    _MEMORY.write_text(json.dumps(known | {name: value}))


def compare(name: str, value: object) -> str:
    """The value against the one an earlier probe has kept."""
    earlier = json.loads(_MEMORY.read_text())[name]
    return "equal" if earlier == json.loads(json.dumps(value)) else f"different: {earlier} and {value}"


def global_random_states() -> dict[str, str]:
    """Digest of the state of each global random number generator."""
    import numpy as np

    states = {"random": random.getstate(), "numpy.random": np.random.get_state()}  # noqa: NPY002
    return {name: hashlib.sha256(repr(state).encode()).hexdigest() for name, state in states.items()}


def draw() -> None:
    """Use the global generators, as a fitness function might."""
    import numpy as np

    random.random()
    np.random.rand()  # noqa: NPY002


def changed_states(before: Mapping[str, str]) -> str:
    """Which global generators were used since."""
    after = global_random_states()
    changed = [name for name in before if before[name] != after[name]]
    return f"global state of {' and '.join(changed)} changed" if changed else "no global state changed"


def main(probes: Probes, distributions: Sequence[str]) -> None:
    """Run the probe that the arguments name, or list all of them with the versions of what they probe."""
    if sys.argv[1] == "list":
        answer = {
            "versions": {name: version(name) for name in distributions},
            "steps": {fault: steps if isinstance(steps, str) else len(steps) for fault, steps in probes.items()},
        }
    else:
        answer = {"text": probes[sys.argv[1]][int(sys.argv[2])]()}
    sys.stdout.write(f"\n{json.dumps(answer)}\n")
    sys.stdout.flush()
