"""One simulation of a reservoir for all readouts of an ensemble, against one simulation per readout."""

from __future__ import annotations

import functools

import numpy as np
from timing import cpu_seconds, medians, row, title

from snn.liquid_config import published_liquid
from snn.network import build
from snn.published_reservoir import OUTPUTS, PublishedReservoir, make_published_reservoir
from snn.shared_reservoir import SharedReservoir

_N_MEMBERS, _N_IMAGES = 98, 12  # as published: ensemble members, images of a generation
_N_REPLAYED = {"nest": 1, "numba": _N_IMAGES}  # images in one call
_IDLE_MS, _IMAGE_MS = 300.0, 500.0
_IMAGE = np.where(np.arange(784) % 5 == 0, 200.0, 0.0)


def simulate_alone(reservoir: PublishedReservoir, engine: str, resolution_ms: float) -> float:
    """CPU seconds of one image for one member: its network, idle time, image."""

    def run() -> None:
        network = build(reservoir.topology, engine=engine, counted=OUTPUTS, resolution_ms=resolution_ms)
        for name, rate_hz in reservoir.rates_hz.items():
            network.set_inputs(name, rate_hz)
        network.run(_IDLE_MS + _IMAGE_MS)
        network.spike_counts()

    return cpu_seconds(run)


def bench_replay() -> None:
    """The published reservoir and ensemble at 1 ms, on both engines."""
    config = published_liquid()
    reservoir = make_published_reservoir(config.reservoir, np.random.default_rng(config.seed))
    for engine in ("nest", "numba"):
        shared = SharedReservoir(config, _N_MEMBERS, engine)
        numbers = range(_N_REPLAYED[engine])
        recordings = [shared.record(_IMAGE, number) for number in numbers]
        replay = functools.partial(shared.counts_of, recordings, numbers)
        replay()
        times = medians(
            {
                "alone": functools.partial(simulate_alone, reservoir, engine, config.resolution_ms),
                "record": lambda shared=shared: cpu_seconds(lambda: shared.record(_IMAGE, 0)),
                "replay": lambda replay=replay, numbers=numbers: cpu_seconds(replay) / len(numbers),
                "weights": lambda shared=shared: cpu_seconds(lambda: shared.set_weights(shared.weights_pA.copy())),
            },
            3,
        )
        together = times["weights"] + _N_IMAGES * (times["record"] + times["replay"])
        again = times["weights"] + _N_IMAGES * times["replay"]
        alone = _N_MEMBERS * _N_IMAGES * times["alone"]
        title(
            f"Published reservoir, {_N_MEMBERS} members, {_N_IMAGES} images of 500 ms after 300 ms, {engine}: CPU time"
        )
        row("one simulation per member and image", alone, "s", f"scaled from one of {times['alone'] * 1e3:.0f} ms")
        row(
            "one simulation per image, replayed into all members", together, "s", f"{alone / together:.0f} times faster"
        )
        row("the same, recorded in an earlier generation", again, "s", f"{alone / again:.0f} times faster")
        row("an image: recorded", times["record"] * 1e3, "ms")
        row("an image: replayed into all members", times["replay"] * 1e3, "ms")
        row("new weights for all members", times["weights"] * 1e3, "ms")
