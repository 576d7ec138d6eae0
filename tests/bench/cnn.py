"""The published convolutional network on MNIST, trained by the ensemble Kalman filter for one epoch.

    python tests/bench/cnn.py                                    # 1,000 members: 20 minutes of one core
    python tests/bench/cnn.py --members 400 --images 128 --batches 80
    python tests/bench/cnn.py cost                               # beside the published program: three minutes

Every image is shown once. The convolutions begin as one random network with small deviations, the last layer at zero
with larger ones; weights of a class learn from the logit of that class. The test is the mean network on all 10,000
images.
"""

from __future__ import annotations

import argparse
import time

import timing

# isort: split
import experiments  # noqa: F401  (before numpy: it sets threads and the compiler cache)

# isort: split
import numpy as np

from experiments.datasets import Images, load, vectors
from experiments.deep_networks import PublishedCNN
from optim import Block, EnKFConfig, EnsembleKalmanFilter, Evaluations, ParameterSpace
from optim.kalman import update_published

NETWORK = PublishedCNN()
# Standard deviations of the first mean network and of the members around it: first and second convolution, last layer.
CENTRE, SPREAD = (1.0, 0.2, 0.0), (0.02, 0.02, 0.2)
HALF_RANGE = 250.0  # of a weight, in standard deviations of the members: no bound is ever met
CONFIG = EnKFConfig(loss="categorical", variant="sqrt", step="misfit", gamma=0.25, block_length=10)
N_OURS = 60_000 // 256
N_PUBLISHED = 7500  # updates of the published program in one epoch: 938 batches of 64, each shown 8 times


def make_filter(n_members: int, seed: int) -> EnsembleKalmanFilter:
    """The filter with its first ensemble."""
    rng = np.random.default_rng(seed)
    layers = NETWORK.layers
    kinds = [min(place, 2) for place in range(len(layers))]
    sizes = [layer.size for layer in layers]
    centre, spread = (np.repeat([values[kind] for kind in kinds], sizes) for values in (CENTRE, SPREAD))
    initial = centre * rng.standard_normal(NETWORK.n_params)
    initial = initial + spread * rng.standard_normal((n_members, NETWORK.n_params))
    space = ParameterSpace(
        tuple(
            Block(layer.name, layer.size, -HALF_RANGE * SPREAD[kind], HALF_RANGE * SPREAD[kind])
            for layer, kind in zip(layers, kinds, strict=True)
        )
    )
    every_class = list(range(10))
    localisation = {layer.name: every_class for layer in layers[:2]} | {f"class {k}": [k] for k in every_class}
    return EnsembleKalmanFilter(space, CONFIG, initial=space.clip(initial), seed=seed, localisation=localisation)


def pixels(images: Images) -> np.ndarray:
    """(n_images, 28, 28) float32 in [0, 1]."""
    return vectors(images, np.float32).reshape(images.pixels.shape)


def n_right(weights: np.ndarray, images: Images) -> int:
    """How many images one network gets right."""
    parts = np.split(pixels(images), 10)
    predicted = np.concatenate([NETWORK.logits(weights[None], part)[0].argmax(axis=1) for part in parts])
    return int((predicted == images.labels).sum())


def train(n_members: int, n_images: int, n_batches: int, seed: int, folder: str | None) -> None:
    """Print how far the mean network is, every 26 batches."""
    images, test = load("mnist", "train", folder), load("mnist", "test", folder)
    kalman, inputs = make_filter(n_members, seed), pixels(images)
    order = np.random.default_rng([seed, 1]).permutation(len(inputs))
    n_batches = min(n_batches or len(order), len(order) // n_images)
    timing.title(f"{n_members:,} members, {n_batches} batches of {n_images} images, seed {seed}")
    start = time.process_time()
    for batch in range(n_batches):
        chosen = order[batch * n_images : (batch + 1) * n_images]
        weights = kalman.ask()
        logits = NETWORK.logits(weights, inputs[chosen])
        one_hot = np.eye(10)[images.labels[chosen]]
        kalman.tell(weights, Evaluations(np.zeros(n_members), logits.reshape(n_members, -1), one_hot.ravel()))
        if (batch + 1) % 26 == 0 or batch + 1 == n_batches:
            seconds, state, right = time.process_time() - start, kalman.diagnostics(), n_right(kalman.mean, test)
            note = f"{right:,} right   {seconds:5.0f} s CPU   spread {state['spread']:.2f}"
            timing.row(f"after {batch + 1} batches", 100.0 * right / len(test.labels), "%", note)


def cost(n_members: int) -> None:
    """CPU time of one epoch, from a few batches: ours, and the published program's steps in NumPy."""
    rng = np.random.default_rng(1)
    timing.title(f"{n_members:,} members: CPU hours of one epoch of 60,000 images, from a few batches")
    images = rng.random((256, 28, 28)).astype(np.float32)
    kalman = make_filter(n_members, 1)
    labels = np.eye(10)[rng.integers(10, size=256)].ravel()

    def ours() -> None:
        weights = kalman.ask()
        logits = NETWORK.logits(weights, images).reshape(n_members, -1)
        kalman.tell(weights, Evaluations(np.zeros(n_members), logits, labels))

    ensemble = kalman.ask().copy()

    def published() -> None:
        logits = np.concatenate([NETWORK.logits(member[None], images[:64]) for member in ensemble])
        responses = logits.reshape(n_members, -1)
        update_published(ensemble, (responses - responses.mean(axis=0)) * 10.0, (labels[:640] - responses) * 10.0, 10)

    hours = {
        f"ours: {N_OURS} batches of 256": lambda: timing.cpu_seconds(ours) * N_OURS / 3600,
        f"published: {N_PUBLISHED:,} updates with 64": lambda: timing.cpu_seconds(published) * N_PUBLISHED / 3600,
    }
    timing.rows(timing.medians(hours, 3), "h", reference=next(iter(hours)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["train", "cost"], default="train")
    parser.add_argument("--members", type=int, default=1000)
    parser.add_argument("--images", type=int, default=256, help="of a batch")
    parser.add_argument("--batches", type=int, default=0, help="0: all images once")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", help="folder of the data sets (docs/data.md)")
    options = parser.parse_args()
    if options.what == "cost":
        cost(options.members)
    else:
        train(options.members, options.images, options.batches, options.seed, options.data)
