"""Problems for the ensemble Kalman filter: linear responses, and a readout of images of digits from mini-batches."""

from typing import NamedTuple

import numpy as np

from experiments.datasets import load, vectors
from optim import Block, EnKFConfig, EnsembleKalmanFilter, Evaluations, ParameterSpace
from optim.misfit import softmax
from optim.problems import linear_responses

N_CLASSES = 10
_HALF_RANGE = 10.0


def space(n_params, width=100.0):
    """A box of one block."""
    return ParameterSpace((Block("x", n_params, -width, width),))


def problem(n_members, n_params, n_targets, seed=1):
    """First ensemble, the matrix of linear responses, targets."""
    rng = np.random.default_rng(seed)
    ensemble = rng.standard_normal((n_members, n_params))
    forward = rng.standard_normal((n_targets, n_params))
    return ensemble, forward, rng.standard_normal(n_targets)


def make(ensemble, targets, seed=1, **config):
    """The filter at its first generation."""
    return EnsembleKalmanFilter(
        space(ensemble.shape[1]), EnKFConfig(**config), initial=ensemble, targets=targets, seed=seed
    )


def advance(kalman, forward, failed=()):
    """One generation with the responses `forward` u."""
    genomes = kalman.ask()
    responses = linear_responses(genomes, forward)
    responses[list(failed)] = np.nan
    kalman.tell(genomes, Evaluations(-np.abs(responses).sum(axis=1), responses))


class Images(NamedTuple):
    """Pixels in [0, 1] and a constant 1; labels 0 … 9."""

    train: np.ndarray  # (n_train, n_features)
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray


def digits():
    """1,797 images of 8 x 8 pixels (scikit-learn), 1,200 of them for training: 650 weights."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    pixels = np.column_stack([pixels[order] / 16.0, np.ones(len(labels))])
    return Images(pixels[:1200], labels[order][:1200], pixels[1200:], labels[order][1200:])


def mnist(folder, n_train=20_000):
    """MNIST from its folder: 7,850 weights."""

    def part(split, n):
        images = load("mnist", split, folder.parent)
        return np.column_stack([vectors(images)[:n], np.ones(len(images.labels[:n]))]), images.labels[:n]

    return Images(*part("train", n_train), *part("test", None))


def accuracy(
    images, *, n_members=60, n_images=32, n_batches=60, repeats=1, output="linear", is_localised=False, seed=0, **config
):
    """Percentage of test images that the mean readout gets right; weights start from N(0, 0.1^2), gamma is 0.01.

    Parameters
    ----------
    n_images : per mini-batch, drawn anew for every batch
    repeats : generations that see the same batch
    output : responses are the outputs of the readout ("linear") or their softmax
    is_localised : weights of a class learn from the outputs of this class only
    config : settings of the filter; lengths in units of the weights are to be divided by 10
    """
    n_features = images.train.shape[1]
    names = [f"class {k}" for k in range(N_CLASSES)]
    rng = np.random.default_rng(seed)
    kalman = EnsembleKalmanFilter(
        ParameterSpace(tuple(Block(name, n_features, -_HALF_RANGE, _HALF_RANGE) for name in names)),
        EnKFConfig(**{"gamma": 0.01, "block_length": N_CLASSES} | config),
        initial=rng.normal(0.0, 0.1, (n_members, N_CLASSES * n_features)),
        seed=seed,
        localisation={name: [k] for k, name in enumerate(names)} if is_localised else None,
    )
    for _ in range(n_batches):
        chosen = rng.choice(len(images.train), n_images, replace=False)
        targets = np.eye(N_CLASSES)[images.train_labels[chosen]].ravel()
        for _ in range(repeats):
            weights = kalman.ask()
            outputs = (weights.reshape(-1, n_features) @ images.train[chosen].T).reshape(n_members, N_CLASSES, -1)
            outputs = outputs.transpose(0, 2, 1)
            responses = (softmax(outputs) if output == "softmax" else outputs).reshape(n_members, -1)
            kalman.tell(weights, Evaluations(np.zeros(n_members), responses, targets))
    predicted = (images.test @ kalman.mean.reshape(N_CLASSES, n_features).T).argmax(axis=1)
    return 100.0 * float((predicted == images.test_labels).mean())
