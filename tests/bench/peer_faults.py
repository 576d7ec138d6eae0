"""What happens when … in other libraries: ``python tests/bench/peer_faults.py --peers PYTHON``.

About twenty minutes, most of it waiting. Every probe is a process of its own, run by the interpreter PYTHON in an
empty folder, and stopped at a time limit with all it has started. A library that PYTHON cannot import is reported as
not installed. One line per fault and library says what was observed; docs/faults.md is made of these lines.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timing import ROOT, text, title

HERE = Path(__file__).resolve().parent
SYSTEMS = {"L2L": "l2l", "Optuna": "optuna", "pycma": "cma", "DEAP": "deap"}
FAULTS = {
    "exception": "one of 8 individuals raises ValueError",
    "worker killed": "the process that evaluates an individual gets signal 9",
    "program killed": "the main process gets signal 9 while it waits for a generation",
    "nan": "one fitness is not a number",
    "infinite": "one fitness is -inf, in a minimisation",
    "seed": "the same program twice",
    "resume": "half of a run, the rest in a fresh process, against the uninterrupted run",
    "torn": "the end of the saved state is missing, as after a kill while writing",
    "hostile": "the saved state comes from somebody else: bytes whose unpickling runs code",
    "hang": "one individual never returns",
    "overhead": "generations of 8 individuals whose fitness takes microseconds",
    "orphans": "a run ends normally",
    "braces": "the name of the output folder is {open('canary','w').name}",
    "random": "what a short run does to the global random number generators, and they to it",
}
LIMIT_S = 60.0  # an undisturbed probe of one generation takes 11 s in L2L and 2 s elsewhere
LIMITS_S = {"hang": 30.0, "seed": 120.0, "resume": 120.0, "overhead": 120.0}
_PATIENCE_S = 3.0  # after the end of the main process, before what is left is counted
_COUNT_WHAT_IS_LEFT = ("worker killed", "program killed", "orphans")


@dataclass
class Outcome:
    """How one process ended."""

    answer: dict[str, Any] | None  # what the probe reported; None: it did not get so far
    code: int | None  # exit code, -n for signal n; None: stopped at the limit
    seconds: float
    n_left: int  # processes it had started that were alive after it
    error: str  # last line of stderr


def session(leader: int) -> list[int]:
    """Live processes of the session that `leader` has started, itself included."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, sid = stat.read_text().rpartition(")")[2].split()[:4]
            if int(sid) == leader and state != "Z":
                found.append(int(stat.parent.name))
    return found


def kill_session(leader: int) -> None:
    """Signal 9 until nothing of the session is left."""
    while alive := session(leader):
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def n_left_after(leader: int) -> int:
    """Processes that outlive the main one, given some time to end."""
    deadline = time.monotonic() + _PATIENCE_S
    while session(leader) and time.monotonic() < deadline:
        time.sleep(0.1)
    return len(session(leader))


def run_probe(python: str, module: str, arguments: list[str], folder: Path, limit_s: float) -> Outcome:
    """One process of the peers' interpreter, and the end of everything it has started."""
    command = [python, "-c", f"import {module}; {module}.main()", *arguments]
    environment = os.environ | {"PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1"}
    # Files, not pipes: what outlives the main process would keep a pipe open.
    with (folder / "out.txt").open("w+") as out, (folder / "err.txt").open("w+") as err:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        start = time.monotonic()
        try:
            code = process.wait(limit_s)
            seconds, n_left = time.monotonic() - start, n_left_after(process.pid)
        except subprocess.TimeoutExpired:
            code, seconds, n_left = None, limit_s, 0
        finally:
            kill_session(process.pid)
            process.wait()
        lines = (folder / "out.txt").read_text(errors="replace").strip().splitlines()
        errors = (folder / "err.txt").read_text(errors="replace").strip().splitlines()
    answer = json.loads(lines[-1]) if code == 0 else None
    return Outcome(answer, code, seconds, n_left, errors[-1] if errors else "")


def describe(outcome: Outcome, fault: str) -> str:
    """What was observed of one process."""
    if outcome.code is None:
        return f"did not end, stopped after {outcome.seconds:.0f} s"
    parts = [outcome.answer["text"]] if outcome.answer else []
    if outcome.code < 0:
        parts.append(f"the main process ended by signal {-outcome.code} after {outcome.seconds:.0f} s")
    elif outcome.code > 0:
        parts.append(f"exit code {outcome.code} after {outcome.seconds:.0f} s ({outcome.error})")
    if fault in _COUNT_WHAT_IS_LEFT:
        parts.append(f"{outcome.n_left or 'no'} other processes left running")
    return ", ".join(parts)


def observe(python: str, system: str, fault: str, n_steps: int) -> str:
    """All steps of one fault in one folder."""
    with tempfile.TemporaryDirectory(prefix="peer_faults_") as folder:
        seen = []
        for step in range(n_steps):
            limit_s = LIMITS_S.get(fault, LIMIT_S)
            outcome = run_probe(python, module_of(system), [fault, str(step)], Path(folder), limit_s)
            seen.append(describe(outcome, fault))
        return " | ".join(part for part in seen if part)


def own_overhead() -> str:
    """The same for a study of this project: eight tasks per generation, with journal, record and checkpoint on disk."""
    import numpy as np

    from experiments.run_folder import RunFolder

    with tempfile.TemporaryDirectory(prefix="peer_faults_") as folder:
        run = str(Path(folder) / "run")
        command = [sys.executable, "-m", "tests.faults.toy", run, "33", "2"]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, timeout=LIMITS_S["overhead"])
        seconds = RunFolder(Path(run)).read_results(["generations"])["generations"]
    evaluate, store = (1e3 * np.median(seconds[name][3:]) for name in ("seconds", "seconds_storage"))
    return f"{evaluate:.1f} ms per generation and {store:.1f} ms for its checkpoint and record on disk (median of 30)"


def module_of(system: str) -> str:
    """The file with the probes of a system."""
    return f"peer_faults_{SYSTEMS[system]}"


def installed(python: str, systems: list[str]) -> Iterator[tuple[str, dict[str, int | str]]]:
    """System and its steps by fault, or why it has none, of those that `python` can import; versions are printed."""
    for system in systems:
        with tempfile.TemporaryDirectory(prefix="peer_faults_") as folder:
            outcome = run_probe(python, module_of(system), ["list"], Path(folder), LIMIT_S)
        if outcome.answer is None:
            text(f"{system:8s} not installed ({outcome.error or 'no answer'})")
            continue
        text(f"{system:8s} {', '.join(f'{name} {number}' for name, number in outcome.answer['versions'].items())}")
        yield system, outcome.answer["steps"]


def main() -> None:
    """All faults, or those that are asked for, with all systems, or those that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", metavar="PYTHON", required=True, help="interpreter that has the libraries")
    parser.add_argument("--only", nargs="+", choices=list(FAULTS), default=list(FAULTS), metavar="FAULT")
    parser.add_argument("--systems", nargs="+", choices=list(SYSTEMS), default=list(SYSTEMS), metavar="SYSTEM")
    arguments = parser.parse_args()
    if not Path("/proc/self/stat").exists():
        parser.error("this needs Linux: processes are counted and ended by what /proc tells")
    try:
        answer = subprocess.run([arguments.peers, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        parser.error(f"--peers {arguments.peers} is no interpreter: {error}")
    version = answer.stdout.strip()
    title(f"Versions ({version}, {os.cpu_count()} cores)")
    steps = dict(installed(arguments.peers, arguments.systems))
    for fault in arguments.only:
        title(f"{fault}: {FAULTS[fault]}")
        if fault == "overhead":
            text(f"{'ours':8s} {own_overhead()}")
        for system, by_fault in steps.items():
            n_steps = by_fault[fault]
            seen = n_steps if isinstance(n_steps, str) else observe(arguments.peers, system, fault, n_steps)
            text(f"{system:8s} {seen}")


if __name__ == "__main__":
    main()
