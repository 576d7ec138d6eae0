"""Deep networks trained by gradient descent: the baseline for what is trained without gradients.

The same networks with the same genomes as in `experiments.deep_networks`. Sole importer of torch, which is an extra:
pip install 'stigmergy[torch]'.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from experiments.deep_networks import N_CLASSES, DeepNetwork, PublishedCNN
from experiments.layers import ACTIVATIONS, ActivityStatistics, Floats, activity_statistics

Descent = Literal["sgd", "adam"]
Tensor = Any  # torch may be missing

_DIFFERENTIABLE = tuple(name for name in ACTIVATIONS if name != "step")


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientConfig:
    """Settings of `train`.

    Raises
    ------
    ValueError : if a value is outside its range.
    """

    optimizer: Descent
    lr: float  # learning rate, > 0
    momentum: float = 0.9  # of "sgd", [0, 1); "adam" has its own: 0.9 and 0.999
    batch_size: int = 64  # images, >= 1; the last batch of an epoch may be smaller
    epochs: int = 1  # times every image is shown, >= 1
    seed: int = 0  # of the order of the images, >= 0

    def __post_init__(self) -> None:
        if self.optimizer not in get_args(Descent):
            raise ValueError(
                f"GradientConfig.optimizer={self.optimizer!r} is unknown. Choose one of {', '.join(get_args(Descent))}."
            )
        if not 0.0 < self.lr < math.inf:
            raise ValueError(f"GradientConfig.lr={self.lr} is outside (0, inf). Give e.g. 0.1.")
        if not 0.0 <= self.momentum < 1.0:
            raise ValueError(
                f"GradientConfig.momentum={self.momentum} is outside [0, 1): old gradients would never fade. Give "
                "e.g. 0.9."
            )
        for name, low in (("batch_size", 1), ("epochs", 1), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < low:
                raise ValueError(f"GradientConfig.{name}={value} is not an integer >= {low}. Give e.g. {low}.")


# Settings of the published comparison, Yegenoglu et al. 2020, doi:10.1007/978-3-030-64580-9_7, and its public code.
PUBLISHED = {
    "sgd": GradientConfig(optimizer="sgd", lr=0.1),
    "adam": GradientConfig(optimizer="adam", lr=1e-3),
}


class GradientStatistics(NamedTuple):
    """Over all weights of a layer, in the layers of a network's `activities`."""

    mean: NDArray[np.float64]  # (n_layers,)
    sd: NDArray[np.float64]  # (n_layers,)
    norm: NDArray[np.float64]  # (n_layers,) square root of the sum of squares


class Checkpoint(NamedTuple):
    """How far training is; statistics are of `genome` on one training batch."""

    n_batches: int  # done so far
    loss: float  # mean cross entropy of the batches since the last checkpoint; of the next one when there are none
    genome: NDArray[np.float64]  # (n_params,)
    activities: ActivityStatistics
    gradients: GradientStatistics


def gradient_statistics(network: DeepNetwork, gradient: NDArray[np.floating[Any]]) -> GradientStatistics:
    """Mean, standard deviation and norm of the gradient of every layer; the classes together are the last layer.

    Parameters
    ----------
    gradient : (n_params,)
    """
    ends = np.cumsum([layer.size for layer in network.layers[:-N_CLASSES]], dtype=np.int64)
    parts = np.split(gradient.astype(np.float64), ends)
    return GradientStatistics(
        np.array([part.mean() for part in parts]),
        np.array([part.std() for part in parts]),
        np.array([np.linalg.norm(part) for part in parts]),
    )


def train(
    network: DeepNetwork,
    genome: NDArray[np.float64],
    images: Floats,
    labels: NDArray[np.integer[Any]],
    config: GradientConfig,
    on_checkpoint: Callable[[Checkpoint], None] | None = None,
    every: int = 100,
) -> NDArray[np.float64]:
    """Minimise the cross entropy by stochastic gradient descent, on one thread.

    The same seed gives the same genome bit for bit on one machine with one version of torch. When training diverges,
    losses and genome are no longer finite, which is not an error.

    Parameters
    ----------
    genome : (n_params,) float64, where training starts; left as it is
    images : (n_images, 28, 28) float32
    labels : (n_images,) integers, 0 … 9
    on_checkpoint : called before the first batch, after every `every` batches, and after the last one
    every : batches, >= 1

    Returns
    -------
    (n_params,) float64 that float32 can hold

    Raises
    ------
    ModuleNotFoundError : without torch.
    ValueError : an activation function without a gradient, other shapes, no images, labels outside 0 … 9, `every` < 1.
    """
    _check(network, genome, images, labels, every)
    torch = _import_torch()
    with _one_thread(torch):
        state = _Training(torch, network, genome, images, labels, config)
        losses: list[float] = []
        for n_batches, chosen in enumerate(_batches(len(images), config)):
            loss = state.set_gradient(chosen)
            if on_checkpoint is not None and n_batches % every == 0:
                on_checkpoint(state.checkpoint(n_batches, losses or [loss], chosen))
                losses.clear()
            losses.append(loss)
            state.optimizer.step()
        if on_checkpoint is not None:
            state.set_gradient(chosen)
            on_checkpoint(state.checkpoint(n_batches + 1, losses, chosen))
        return state.genome()


class _Training:
    """Weights, their gradient and the optimizer between two batches."""

    def __init__(
        self,
        torch: Any,
        network: DeepNetwork,
        genome: NDArray[np.float64],
        images: Floats,
        labels: NDArray[np.integer[Any]],
        config: GradientConfig,
    ) -> None:
        self._torch, self._network, self._images, self._labels = torch, network, images, labels
        self._weights = torch.tensor(genome, dtype=torch.float32, requires_grad=True)
        self.optimizer = (
            torch.optim.Adam([self._weights], lr=config.lr)
            if config.optimizer == "adam"
            else torch.optim.SGD([self._weights], lr=config.lr, momentum=config.momentum)
        )

    def set_gradient(self, chosen: NDArray[np.intp]) -> float:
        """Cross entropy of the chosen images, whose gradient the next step follows."""
        torch = self._torch
        images = torch.from_numpy(self._images[chosen].astype(np.float32, copy=False))
        labels = torch.from_numpy(self._labels[chosen].astype(np.int64, copy=False))
        self.optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(torch_logits(self._network, self._weights, images), labels)
        loss.backward()
        return float(loss.detach())

    def checkpoint(self, n_batches: int, losses: list[float], chosen: NDArray[np.intp]) -> Checkpoint:
        """Where training is, with statistics of the images that gave the gradient."""
        genome = self.genome()
        with np.errstate(over="ignore", invalid="ignore"):  # training may diverge
            activities = self._network.activities(genome, self._images[chosen])
            return Checkpoint(
                n_batches,
                float(np.mean(losses)),
                genome,
                activity_statistics(activities, self._network.activation),
                gradient_statistics(self._network, self._weights.grad.numpy()),
            )

    def genome(self) -> NDArray[np.float64]:
        return np.asarray(self._weights.detach().numpy(), dtype=np.float64)


def torch_logits(network: DeepNetwork, weights: Tensor, images: Tensor) -> Tensor:
    """What one network answers, in operations that torch can differentiate.

    Parameters
    ----------
    weights : (n_params,) float32 tensor, in the order of the genome
    images : (n_images, 28, 28) float32 tensor

    Returns
    -------
    (n_images, 10) float32 tensor
    """
    torch = _import_torch()
    activate = {"logistic": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu}[network.activation]
    sizes = [layer.size for layer in network.layers[:-N_CLASSES]]
    *hidden, last = torch.split(weights, [*sizes, network.n_params - sum(sizes)])
    if isinstance(network, PublishedCNN):
        first, second = hidden
        maps = activate(torch.conv2d(images[:, None], first.view(-1, 1, 5, 5)))
        maps = torch.max_pool2d(maps, 2)
        features = activate(torch.conv2d(maps, second.view(-1, maps.shape[1], 5, 5)))
        return features.flatten(1) @ last.view(N_CLASSES, -1).T
    values = images.flatten(1)
    for part in hidden:
        values = activate(_linear(torch, values, part))
    return _linear(torch, values, last)


def _linear(torch: Any, values: Tensor, part: Tensor) -> Tensor:
    """Units whose weights lie together, each with its bias after them."""
    units = part.view(-1, values.shape[1] + 1)
    return torch.addmm(units[:, -1], values, units[:, :-1].T)


def _batches(n_images: int, config: GradientConfig) -> Iterator[NDArray[np.intp]]:
    """Places of the images of every batch, in a new order every epoch."""
    rng = np.random.default_rng(config.seed)
    for _ in range(config.epochs):
        order = rng.permutation(n_images)
        for start in range(0, n_images, config.batch_size):
            yield order[start : start + config.batch_size]


def _check(network: DeepNetwork, genome: NDArray[Any], images: NDArray[Any], labels: NDArray[Any], every: int) -> None:
    """Refuse what `train` cannot do."""
    if network.activation not in _DIFFERENTIABLE:
        raise ValueError(
            f"activation={network.activation!r} has no gradient: choose one of {', '.join(_DIFFERENTIABLE)}, or an "
            "optimizer without gradients."
        )
    if every < 1:
        raise ValueError(f"every={every} is not allowed: give the number of batches between checkpoints, >= 1.")
    if len(images) == 0 or labels.shape != (len(images),):
        raise ValueError(f"labels have shape {labels.shape} for {len(images)} images: give one per image, at least 1.")
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= N_CLASSES:
        raise ValueError(
            f"labels are {labels.dtype} from {labels.min()} to {labels.max()}: give integers of 0 … {N_CLASSES - 1}."
        )
    network.activities(genome, images[:1])  # refuses other shapes


def _import_torch() -> Any:
    """The package torch.

    Raises
    ------
    ModuleNotFoundError : it is not installed.
    """
    try:
        import torch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "training by gradients needs torch, which is not installed. Install it: pip install 'stigmergy[torch]'"
        ) from error
    return torch


@contextmanager
def _one_thread(torch: Any) -> Iterator[None]:
    """Sums in a fixed order, whatever the number of cores."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)
