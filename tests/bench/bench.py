"""The speed and memory figures of the README: `make bench`, about four minutes on two idle cores.

Ratios are measured side by side in one run, as medians of interleaved repetitions: single times on a shared machine
mean little.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np

from envs.foraging import AntForagingEnv
from experiments.run_folder import RunFolder
from snn import AntBrainConfig, AntColonyBrain, decode, random_genomes
from snn.topology import colony_connections

N_ANTS = 15
MPIRUN = Path(sys.executable).parent / "mpirun"
ANTS = str(ROOT / "experiments" / "ants.py")


def seconds_per_call(calls: dict[str, tuple[Callable[[], object], int]], rounds: int = 7) -> dict[str, float]:
    """Median seconds per call of each function, run `n` times in turn, for `rounds` rounds."""
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, (call, n) in calls.items():
            start = time.perf_counter()
            for _ in range(n):
                call()
            samples[name].append((time.perf_counter() - start) / n)
    return {name: statistics.median(values) for name, values in samples.items()}


def bench_world() -> None:
    env = AntForagingEnv()
    env.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, (3, 2, 2), size=(1000, N_ANTS, 3))

    def episode() -> None:
        env.reset(seed=1)
        for action in actions:
            env.step(action)

    episode()
    seconds = seconds_per_call({"world": (episode, 1)})["world"]
    print(f"world step alone                    {len(actions) / seconds:9.0f} ticks/s")


class NaiveColony:
    """The published way to script NEST: a current generator per sensor, a recorder per motor neuron, a call for each.

    Per tick every generator is set, every recorder read and cleared, and, with `is_published`, every generator switched
    off again; without it the leanest script of this kind remains.
    """

    def __init__(self, weights, delays, config, is_published):
        import nest

        self.nest = nest
        nest.ResetKernel()
        nest.set(resolution=config.resolution_ms, local_num_threads=1)
        parts = colony_connections(config, N_ANTS, weights, delays)
        neurons = nest.Create("iaf_psc_alpha", config.n_neurons * N_ANTS + 1, {"t_ref": config.neuron.t_ref})
        nest.Connect(
            parts.source + 1,
            parts.target + 1,
            {"rule": "one_to_one"},
            {"synapse_model": "static_synapse", "weight": parts.weight_pA, "delay": parts.delay_ms},
        )
        neurons[-1].set(I_e=config.input_current_pA)
        first = config.n_neurons * np.arange(N_ANTS)[:, None]
        inputs = (first + np.arange(config.n_inputs)).ravel().tolist()
        outputs = (first + config.n_inputs + config.n_hidden + np.arange(config.n_outputs)).ravel().tolist()
        self.generators = [nest.Create("dc_generator") for _ in inputs]
        self.recorders = [nest.Create("spike_recorder") for _ in outputs]
        for generator, neuron in zip(self.generators, inputs, strict=True):
            nest.Connect(generator, neurons[neuron])
        for recorder, neuron in zip(self.recorders, outputs, strict=True):
            nest.Connect(neurons[neuron], recorder)
        self.config = config
        self.is_published = is_published

    def act(self, obs):
        for generator, is_active in zip(self.generators, obs.ravel(), strict=True):
            generator.set(amplitude=self.config.input_current_pA * float(is_active))
        self.nest.Simulate(self.config.tick_ms)
        counts = np.array([recorder.n_events for recorder in self.recorders])
        for recorder in self.recorders:
            recorder.set(n_events=0)
        if self.is_published:
            for generator in self.generators:
                generator.set(amplitude=0.0)
        return counts


def bench_brain() -> None:
    """Each pattern owns NEST's kernel in turn; observations change from tick to tick as in foraging."""
    config = AntBrainConfig()
    weights, delays = decode(random_genomes(config, 1, np.random.default_rng(1))[0], config)
    rng = np.random.default_rng(2)
    observations = (rng.random((200, N_ANTS, config.n_inputs)) < 0.2).astype(np.int8)
    observations = np.repeat(observations, 3, axis=0)  # a sensor keeps its value for a few ticks
    patterns = {
        "stigmergy": (lambda: AntColonyBrain(weights, delays, N_ANTS, config), 400),
        "as published, but never switched off": (lambda: NaiveColony(weights, delays, config, is_published=False), 40),
        "one call each, as published": (lambda: NaiveColony(weights, delays, config, is_published=True), 40),
    }
    samples: dict[str, list[float]] = {name: [] for name in patterns}
    builds = []
    for _ in range(5):
        for name, (build, n) in patterns.items():
            start = time.perf_counter()
            colony = build()
            if name == "stigmergy":
                builds.append(time.perf_counter() - start)
            start = time.perf_counter()
            for obs in observations[:n]:
                colony.act(obs)
            samples[name].append((time.perf_counter() - start) / n)
    medians = {name: statistics.median(values) for name, values in samples.items()}
    print("colony tick on NEST, 15 ants, 20 hidden neurons:")
    for name, seconds in medians.items():
        ratio = seconds / medians["stigmergy"]
        print(f"  {name:37s} {1 / seconds:9.0f} ticks/s  ({seconds * 1e3:.2f} ms, {ratio:.1f} times ours)")
    print(f"building a colony (10,500 synapses) {statistics.median(builds) * 1e3:9.1f} ms")


def bench_ranks() -> None:
    if not MPIRUN.exists():
        print("mpirun is missing: no figures for several ranks (pip install 'stigmergy[mpi]')")
        return
    with tempfile.TemporaryDirectory() as folder:
        study = ["--population", "32", "--env.n_ticks", "300", "--generations", "4", "--runs", folder]
        medians = {}
        for name, launcher in (("serial", []), ("two", [str(MPIRUN), "-n", "2"])):
            subprocess.run(
                [*launcher, sys.executable, ANTS, *study, "--name", name], check=True, stdout=subprocess.DEVNULL
            )
            seconds = RunFolder(Path(folder) / name).read_results()["generations"]["seconds"]
            medians[name] = statistics.median(seconds[1:].tolist())
        print(f"generation of 32, one process       {medians['serial']:9.2f} s")
        print(f"generation of 32, mpirun -n 2       {medians['two']:9.2f} s")
        print(f"  ratio                             {medians['serial'] / medians['two']:9.2f}")
        quick = ["--config", str(ROOT / "experiments/configs/quick.toml"), "--generations", "2", "--runs", folder]
        start = time.perf_counter()
        job = subprocess.Popen(
            [str(MPIRUN), "-n", "64", sys.executable, ANTS, *quick, "--name", "many"], stdout=subprocess.DEVNULL
        )
        largest = total = 0.0
        while job.poll() is None:
            shares = _memory_of_ranks_mb("many")
            largest, total = max([largest, *(rss for rss, _ in shares)]), max(total, sum(pss for _, pss in shares))
            time.sleep(1.0)
        print(f"64 ranks, two quick generations     {time.perf_counter() - start:9.0f} s, exit code {job.returncode}")
        print(f"  memory: largest rank              {largest:9.0f} MB resident")
        print(f"  memory: all ranks                 {total / 1000:9.1f} GB")


def _memory_of_ranks_mb(name: str) -> list[tuple[float, float]]:
    """(resident, proportional) memory of every Python rank of the job."""
    shares = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
            if b"python" in command[0] and name.encode() in command:
                rollup = dict(line.split()[:2] for line in (process / "smaps_rollup").read_text().splitlines()[1:])
                shares.append((int(rollup["Rss:"]) / 1000, int(rollup["Pss:"]) / 1000))
        except (OSError, KeyError):
            continue
    return shares


if __name__ == "__main__":
    bench_world()
    bench_brain()
    bench_ranks()
