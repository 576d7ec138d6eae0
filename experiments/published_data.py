"""The published colonies: what they scored in every world of their benchmark, and recorded spikes to replay.

Source: github.com/Meta-optimization/emergent_communication_in_agents (MIT licence), data of Jimenez-Romero et al. 2024,
doi:10.1007/s11721-023-00231-6: data/benchmark_trials (its Fig. 12), data/fitness_full.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.files import DataError
from experiments.npz import read_arrays
from optim.base import Array
from snn import AntBrainConfig, AntColonyBrain, decode
from snn.spike_trains import SpikeTrains

TICK_MS = 20
N_TICKS = 1901  # of a recording
LAYERS = {"input": "input", "hidden": "middle", "output": "output"}  # ours and theirs
_FIRST_SPIKE_MS = 3  # of an active sensor, in its tick


class Benchmark(NamedTuple):
    """Scores of a colony with world seeds 1 ... 100, in this order, 2,000 ticks each."""

    food: Array  # (100,) units in the nest
    fitness: Array  # (100,)


# By generation and individual; of the eleven published ones, those whose genomes are among the 66 at hand.
BENCHMARKS = {
    (1600, 30): Benchmark(
        food=np.array([
            115, 141, 123, 133, 120, 118, 125, 138, 113, 127, 118, 135, 122, 129, 131, 114, 116, 130, 130, 125, 122,
            138, 133, 141, 135, 129, 138, 139, 126, 124, 121, 127, 149, 141, 117, 111, 121, 126, 110, 125, 136, 137,
            130, 141, 126, 126, 125, 134, 122, 131, 124, 113, 124, 125, 134, 137, 125, 141, 129, 124, 138, 125, 132,
            129, 139, 129, 124, 127, 136, 118, 110, 122, 133, 143, 119, 145, 105, 148, 127, 141, 133, 119, 118, 127,
            127, 150, 125, 132, 129, 121, 111, 144, 123, 129, 135, 125, 140, 150, 135, 140,
        ], dtype=np.float64),
        fitness=np.array([
            19063.21, 24902.05, 21077.24, 23165.84, 20367.42, 19970.16, 21298.89, 24228.55, 18957.51, 21946.73,
            19818.61, 23446.01, 20752.53, 22405.48, 22790.83, 19169.54, 19369.57, 22515.78, 22509.26, 21260.30,
            20648.75, 24199.83, 23126.55, 24884.99, 23601.51, 22310.37, 24264.11, 24430.89, 21525.36, 21352.88,
            20464.10, 21739.85, 26644.70, 24993.18, 19663.99, 18417.11, 20624.72, 21521.81, 18175.88, 21306.31,
            23816.81, 24077.08, 22465.37, 25041.60, 21541.94, 21822.88, 21473.08, 23310.13, 20711.95, 22792.36,
            21204.55, 18686.48, 21213.52, 21473.91, 23299.75, 24013.18, 21530.53, 25008.20, 22380.18, 21200.01,
            24235.64, 21345.30, 22875.66, 22213.45, 24546.50, 22256.02, 21199.63, 21732.19, 23861.43, 19747.53,
            18203.17, 20611.99, 23143.15, 25407.88, 20041.75, 25747.21, 16905.02, 26404.47, 21816.32, 24876.92,
            23319.81, 20024.01, 19973.70, 21795.70, 21793.12, 27012.01, 21346.72, 23187.14, 22342.56, 20509.73,
            18191.86, 25584.21, 20984.55, 22205.42, 23688.69, 21410.47, 24576.51, 26899.44, 23626.84, 24621.74,
        ], dtype=np.float64),
    ),
    (1700, 2): Benchmark(
        food=np.array([
            98, 114, 91, 100, 85, 108, 116, 101, 101, 94, 94, 92, 104, 98, 94, 94, 85, 110, 115, 100, 89, 119, 98,
            79, 94, 105, 116, 88, 81, 107, 91, 104, 114, 92, 104, 107, 103, 112, 89, 100, 89, 94, 118, 89, 106, 98,
            82, 106, 114, 100, 110, 97, 104, 107, 115, 91, 86, 115, 104, 95, 105, 107, 113, 115, 88, 102, 107, 110,
            95, 100, 113, 90, 94, 109, 89, 99, 91, 96, 95, 104, 96, 103, 101, 94, 89, 85, 100, 93, 93, 100, 100, 87,
            104, 107, 110, 90, 104, 101, 108, 96,
        ], dtype=np.float64),
        fitness=np.array([
            16006.01, 19777.18, 14702.02, 16682.72, 13527.49, 18262.43, 20227.60, 16858.84, 17022.82, 15410.35,
            15686.27, 14305.62, 17375.46, 16471.83, 15428.16, 15580.76, 12680.47, 18852.40, 20211.91, 16542.80,
            13735.40, 20732.59, 16276.37, 12063.37, 15402.34, 17856.83, 19982.14, 13921.49, 12020.51, 18426.41,
            14703.16, 17617.05, 19848.16, 15179.84, 17648.47, 18142.57, 17294.36, 19348.65, 14228.33, 16432.36,
            13973.24, 14614.50, 20610.47, 14780.37, 17997.47, 16148.95, 12740.52, 18016.15, 19535.66, 16389.43,
            18816.61, 15702.14, 17415.10, 18141.27, 19956.66, 14614.55, 13597.80, 20100.06, 17391.37, 15297.01,
            17499.74, 18276.37, 19476.15, 19855.40, 13995.33, 17110.82, 18374.78, 18728.24, 15491.16, 16557.57,
            19426.03, 14408.15, 15133.01, 18774.72, 14158.90, 16380.61, 14662.54, 15750.04, 15472.62, 17597.58,
            15923.88, 17282.40, 16679.19, 15422.08, 14129.02, 13598.28, 16509.34, 15335.62, 15159.26, 16166.20,
            16394.71, 13899.61, 17598.03, 17689.96, 18665.58, 14223.38, 17636.40, 16535.17, 18511.77, 15821.52,
        ], dtype=np.float64),
    ),
}  # fmt: skip


def read_recording(path: Path, n_ticks: int = N_TICKS) -> dict[str, SpikeTrains]:
    """Spike trains of one ant by layer, "input", "hidden" and "output", over its first ticks.

    Raises
    ------
    DataError : the file cannot be read, or holds no such spikes.
    """
    brain, end = AntBrainConfig(), n_ticks * TICK_MS
    sizes = {"input": brain.n_inputs, "hidden": brain.n_hidden, "output": brain.n_outputs}
    layers = {}
    try:
        arrays = read_arrays(path)
        for ours, theirs in LAYERS.items():
            times, neurons = arrays[f"{theirs}_times_ms"], arrays[f"{theirs}_neuron"]
            is_due = times <= end
            layers[ours] = SpikeTrains.from_unsorted(times[is_due], neurons[is_due], 1.0, end, {ours: sizes[ours]})
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise DataError(f"{path} is no recording of an ant ({error}): take the published file.") from None
    return layers


def observations(sensors: SpikeTrains) -> NDArray[np.int8]:
    """(n_ticks, 1, n_sensors) what the ant sensed, from the first spike of every active sensor in a tick."""
    obs = np.zeros((sensors.n_steps // TICK_MS, 1, sensors.n_neurons), dtype=np.int8)
    is_first = sensors.steps % TICK_MS == _FIRST_SPIKE_MS
    obs[sensors.steps[is_first] // TICK_MS, 0, sensors.neurons[is_first]] = 1
    return obs


def replay(genome: Array, brain: AntBrainConfig, recording: dict[str, SpikeTrains]) -> tuple[int, int]:
    """Feed a brain with recorded sensors and compare what its hidden and motor neurons fire with what was recorded.

    Returns
    -------
    n_spikes : recorded ones
    n_wrong : those that are missing here, and those that are only here
    """
    with AntColonyBrain(*decode(genome, brain), 1, brain, has_recording=True) as colony:
        for obs in observations(recording["input"]):
            colony.act(obs)
        spikes = colony.spikes()
    n_spikes = n_wrong = 0
    for layer in ("hidden", "output"):
        ours, theirs = (_as_set(trains) for trains in (spikes.population(layer), recording[layer]))
        n_spikes += len(theirs)
        n_wrong += len(ours ^ theirs)
    return n_spikes, n_wrong


def _as_set(trains: SpikeTrains) -> set[tuple[int, int]]:
    return set(zip(trains.steps.tolist(), trains.neurons.tolist(), strict=True))
