"""What an epoch of the published convolutional network costs: our filter beside the published program's steps in NumPy.

    python tests/bench/cnn.py                    # three minutes
    python tests/bench/cnn.py --members 200

How well the network learns is the study's: experiments/enkf_dnn.py.
"""

from __future__ import annotations

import argparse

import timing

# isort: split
import experiments  # noqa: F401  (before numpy: it sets threads and the compiler cache)

# isort: split
import numpy as np

from experiments.dnn_config import DnnConfig
from experiments.dnn_study import make_optimizer
from optim import Evaluations
from optim.kalman import update_published

N_OURS = 60_000 // 256
N_PUBLISHED = 7500  # updates of the published program in one epoch: 938 batches of 64, each shown 8 times


def cost(n_members: int) -> None:
    """CPU hours of one epoch, from a few batches."""
    config = DnnConfig(population=n_members)
    network, kalman, rng = config.make_network(), make_optimizer(config), np.random.default_rng(1)
    timing.title(f"{n_members:,} members: CPU hours of one epoch of 60,000 images, from a few batches")
    images = rng.random((256, 28, 28)).astype(np.float32)
    labels = np.eye(10)[rng.integers(10, size=256)].ravel()

    def ours() -> None:
        weights = kalman.ask()
        blocks = np.array_split(weights, max(1, n_members // config.block))
        logits = np.concatenate([network.logits(block, images) for block in blocks]).reshape(n_members, -1)
        kalman.tell(weights, Evaluations(np.zeros(n_members), logits, labels))

    ensemble = kalman.ask().copy()

    def published() -> None:
        logits = np.concatenate([network.logits(member[None], images[:64]) for member in ensemble])
        responses = logits.reshape(n_members, -1)
        update_published(ensemble, (responses - responses.mean(axis=0)) * 10.0, (labels[:640] - responses) * 10.0, 10)

    hours = {
        f"ours: {N_OURS} batches of 256": lambda: timing.cpu_seconds(ours) * N_OURS / 3600,
        f"published: {N_PUBLISHED:,} updates with 64": lambda: timing.cpu_seconds(published) * N_PUBLISHED / 3600,
    }
    timing.rows(timing.medians(hours, 3), "h", reference=next(iter(hours)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=1000)
    cost(parser.parse_args().members)
